"""Answers of a server that gives a secret back: in every form of an error, in headers, in jobs.

The forms are named as in docs/reference/jobs-api.md#forms-of-an-error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def _json(status: int, body: object, **headers: str) -> Answer:
    return status, headers, json.dumps(body).encode()


ERRORS: dict[str, Callable[[str], Answer]] = {
    "E1": lambda s: _json(400, {"error": {"message": f"invalid: {s}", "code": "Common.0013"}}),
    "E1 under 200": lambda s: _json(200, {"error": {"message": f"invalid {s}", "code": s}}),
    "E2": lambda s: _json(401, {"error_msg": f"verify {s} fail", "error_code": "APIGW.0301", "request_id": s}),
    "E2, canonical request": lambda s: _json(401, {"error_msg": f"canonicalRequest:GET|/|x:{s}|", "error_code": s}),
    "E3": lambda s: _json(401, {"error": {"message": f"The token {s} is invalid!", "code": 401, "title": s}}),
    "E4": lambda s: _json(404, {"itemNotFound": {"message": f"{s} could not be found.", "code": 404}}),
    "E5": lambda s: _json(400, {"code": "SYS.0400", "message": s}),
    "E6": lambda s: _json(500, {"errorCode": s, "errorMsg": f"of {s}"}),
    "E6, another": lambda s: _json(500, {"errCode": "X.1", "errMsg": {"inner": [s]}}),
    "E7": lambda s: _json(400, {"error": {"code": "111401001", "message": f"Invalid {s}.", "ext_message": s}}),
    "E8": lambda s: (401, {}, f"Authentication required for {s}".encode()),
    "E9": lambda s: (502, {"Content-Type": "text/html"}, f"<html><body>no {s}</body></html>".encode()),
    "E10": lambda s: (500, {}, b""),
    "throttled": lambda s: _json(429, {"error_msg": f"policy {s}", "error_code": "APIGW.0308"}),
    "far into a long text": lambda s: _json(403, {"error": {"message": "no " * 126 + s, "code": "EVS.5403"}}),
    "deep inside": lambda s: _json(400, {"error": {"message": json.dumps({"auth": {"key": s}}), "code": "EVS.9999"}}),
}


def with_headers(answer: Answer, secret: str) -> Answer:
    """Put a secret into the headers that a client may look at."""
    told = "".join(character for character in secret if character.isascii() and character.isprintable())
    more = {"X-Request-Id": told, "Server": told, "Retry-After": told, "X-Auth-Token": told, "Set-Cookie": f"s={told}"}
    return answer[0], {**answer[1], **more}, answer[2]


def redirect(secret: str) -> Answer:
    """Redirect to an address made of the secret."""
    host = "".join(character for character in secret if character.isascii() and character.isalnum())
    return 302, {"Location": f"https://{host}.example.com/{host}?token={host}"}, b""


def job(secret: str, word: str = "FAIL", *, subs: int = 2) -> dict[str, Any]:
    """Return a job with the secret in every field that is text."""
    body: dict[str, Any] = {
        "status": word,
        "job_type": f"create {secret}",
        "begin_time": secret,
        "end_time": secret,
        "error_code": secret,
        "fail_reason": f"EbsCreateVolumeTask-fail:{secret}",
        "entities": {"volume_id": secret, "name": f"pvc {secret}", secret: "value", "size": 40},
    }
    if subs:
        body["entities"] = {"sub_jobs": [{**job(secret, subs=0), "job_id": f"{n} {secret}"} for n in range(subs)]}
    return body
