"""What each kind of fault does to a request.

`INSTEAD` kinds answer in the place of the cloud, before any check. `AROUND` kinds take the real answer and spoil it,
its body or its way over the wire. A new kind is one function and one entry. A wrong option is a ValueError, when the
fault is added: `admin_faults` tries each fault once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from .envelopes import ENVELOPES, envelope, html
from .limiter import throttled
from .options import Options
from .wire import JSON, Answer, Delivery, Request, encode


def _envelope(options: Options, request: Request) -> Answer:
    status = options.status(500)
    form = options.text("envelope", "E1")
    if form not in ENVELOPES:
        raise ValueError(f"envelope is {form!r}, not one of {', '.join(ENVELOPES)}")
    answer = envelope(form, status, options.text("message", "error"), options.text("code", "EVS.5500"), request)
    return answer.with_headers(options.headers())


def _raw(options: Options, request: Request) -> Answer:
    headers = {"Content-Type": options.text("content_type", JSON), **options.headers()}
    return Answer(options.status(200), options.body(), headers)


def _throttled(options: Options, request: Request) -> Answer:
    retry_after = options.text("retry_after", "") or None
    window = options.text("time", "5 minute")
    return throttled(request, options.text("policy", "user"), options.whole("limit", 200), window, retry_after)


def _iam_throttled(options: Options, request: Request) -> Answer:
    return envelope("E2", 429, "Threshold: 10 times per 60 seconds", "IAM.0012", request)


def _bad_gateway(options: Options, request: Request) -> Answer:
    return html(502, "502 Bad Gateway", "The backend server is unreachable.")


def _error_under_200(options: Options, request: Request) -> Answer:
    code, message = options.text("code", "Common.0011"), options.text("message", "query job fail.")
    return envelope("E1", 200, message, code, request)


def _html(options: Options, request: Request) -> Answer:
    return html(options.status(200), "Sign in", "Please sign in to the proxy.")


def _empty(options: Options, request: Request) -> Answer:
    return Answer(options.status(200), b"")


def _redirect(options: Options, request: Request) -> Answer:
    return Answer(302, b"", {"Location": options.text("location", "https://sso.example.com/login")})


def _reset(options: Options, request: Request) -> Answer:
    return Answer(0, b"", {}, Delivery(cut="before_headers"))


def _delay(options: Options, answer: Answer) -> Answer:
    return replace(answer, delivery=replace(answer.delivery, delay=options.number("seconds", 1.0)))


def _slow_body(options: Options, answer: Answer) -> Answer:
    return replace(answer, delivery=replace(answer.delivery, trickle=options.number("seconds", 1.0)))


def _reset_after_headers(options: Options, answer: Answer) -> Answer:
    return replace(answer, delivery=replace(answer.delivery, cut="after_headers"))


def _truncated(options: Options, answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: max(1, len(answer.body) // 2)])


def _content_type(options: Options, answer: Answer) -> Answer:
    return answer.with_headers({"Content-Type": options.text("content_type", "text/plain")})


def _other_job(options: Options, answer: Answer) -> Answer:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer
    if not isinstance(body, dict) or "job_id" not in body:
        return answer
    return replace(answer, body=encode({**body, "job_id": options.text("answer_job_id", "f" * 32)}))


def _headers(options: Options, answer: Answer) -> Answer:
    return answer.with_headers(options.headers())


INSTEAD: Mapping[str, Callable[[Options, Request], Answer]] = {
    "envelope": _envelope,
    "raw": _raw,
    "throttled": _throttled,
    "iam_throttled": _iam_throttled,
    "bad_gateway": _bad_gateway,
    "error_under_200": _error_under_200,
    "html": _html,
    "empty": _empty,
    "redirect": _redirect,
    "reset_before_headers": _reset,
}
AROUND: Mapping[str, Callable[[Options, Answer], Answer]] = {
    "delay": _delay,
    "slow_body": _slow_body,
    "reset_after_headers": _reset_after_headers,
    "truncated_json": _truncated,
    "wrong_content_type": _content_type,
    "other_job_id": _other_job,
    "headers": _headers,
}
