"""One object concerns one object: whatever a tenant writes or an endpoint answers, all others are followed as before.

Each test attacks with a tenant's own token and an endpoint of the attacker's, beside a victim whose job is polled every
second. The sister files hold the other rules: what is seen (`oracle`), whose verdict it is (`verdicts`), how much it
may cost (`bounds`), and who waits for whom (`turns`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from support.account import Object, is_told, job, ours, secret, token_connection
from support.evil import Reply, granted
from support.jobs import VOLUME_ID, body
from support.operator_process import condition, eventually
from support.siege import VICTIM_TOKEN, Siege

EVIL_TOKEN = "a-token-of-mallory-5d7e"
A = "a" * 32
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
CA_FILES = {
    "an umlaut in a comment": "# für team-a\n" + PEM.format("MIIB"),
    "emoji between certificates": PEM.format("MIIB") + "💾\n" + PEM.format("MIIB"),
    "a byte order mark": "\ufeff" + PEM.format("MIIB"),
    "NUL within": PEM.format("MI\0IB"),
    "only a NUL": "\0",
    "a header and no end": "-----BEGIN CERTIFICATE-----\n",
    "not base64": PEM.format("!!! not base64 !!!"),
    "not DER": PEM.format(base64.b64encode(b"\x30\x82\xff\xff" + b"x" * 64).decode()),
    "a key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    "a trusted certificate": PEM.format("MIIB").replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
    "ten thousand empty ones": PEM.format("") * 10_000,
    "line ends of a Mac": PEM.format("MIIB").replace("\n", "\r"),
    "a letter that is no letter": PEM.format("ＭＩＩＢ"),
}
ODD_BYTES = (b"", b"\xff\xfe", b"\x00" * 16, b"\xed\xa0\x80", b"\n", b"a\nb", "für".encode(), b"\x85", b"\x7f" * 9)
AUTHS: Mapping[str, tuple[str, ...]] = {
    "token": ("token",),
    "accessKey": ("accessKey", "secretKey", "securityToken"),
    "password": ("username", "password", "domainName"),
}


def ready_of(it: Siege, kind: str = "EvsConnection") -> dict[str, Object]:
    """Return Ready of each of mallory's objects, by name; {} where the operator has not looked at one yet."""
    found = it.mallory.list(kind).items()
    return {name: condition(one["status"], "Ready") if is_told(one) else {} for name, one in found}


def test_a_ca_that_cannot_be_read_is_told_by_its_connection_and_ends_nothing(it: Siege) -> None:
    made: list[Object] = []
    for number, pem in enumerate(CA_FILES.values()):
        held = {"data": {key: base64.b64encode(value).decode() for key, value in _with(pem).items()}}
        made.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"ca-{number}"}, **held})
        by_name = {"caSecretRef": {"name": f"ca-{number}"}}
        made.append(token_connection(f"secret-{number}", it.evil.url, f"ca-{number}", tls=by_name))
        inline = base64.b64encode(pem.encode()).decode()
        if len(inline) < 98_304:  # the API server takes no larger one
            made.append(token_connection(f"inline-{number}", it.evil.url, f"ca-{number}", tls={"caBundle": inline}))
    made.append(secret("binary", token=EVIL_TOKEN))
    made[-1]["data"] = {"ca.crt": base64.b64encode(b"\xff\xfe\x00" * 50).decode()}
    made.append(token_connection("binary", it.evil.url, "binary", tls={"caSecretRef": {"name": "binary"}}))
    with it.others_go_on():
        it.mallory.create(*made)
        words = re.compile(r"(ca\.crt|caBundle).*: write (PEM certificates of a CA|the PEM file whole|the value alone)")
        eventually(lambda: all(words.search(str(one)) for one in ready_of(it).values()), 40, lambda: _told(it))


def _told(it: Siege) -> str:
    return "\n".join(f"{name}: {ready}" for name, ready in ready_of(it).items())


def _with(pem: str) -> dict[str, bytes]:
    return {"token": EVIL_TOKEN.encode(), "ca.crt": pem.encode()}


def test_a_secret_with_any_bytes_is_told_by_its_connection_and_ends_nothing(it: Siege) -> None:
    made: list[Object] = []
    for way, keys in AUTHS.items():
        for number, value in enumerate(ODD_BYTES):
            for key in keys:
                name = f"{way}-{key}-{number}".lower()
                data = {other: base64.b64encode(value if other == key else b"x" * 20).decode() for other in keys}
                made.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
                auth: Object = {way: {"secretRef": {"name": name}}}
                if way == "password":
                    auth[way]["iamEndpoint"] = it.evil.url
                made.append(ours("EvsConnection", name, endpoint=it.evil.url, projectId="f" * 32, auth=auth))
    it.evil.iam = lambda body: granted("x" * 40)
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: all(ready_of(it).values()), 90, lambda: str([n for n, r in ready_of(it).items() if not r]))


FIELDS: list[tuple[str, Any]] = [
    *(("begin_time", value) for value in (0, -1, 1e308, 2**63, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z")),
    *(("end_time", value) for value in ({}, [], True, "x" * 99_999, "-0001-01-01T00:00:00Z", "2026-02-30T25:61:61Z")),
    *(("entities", value) for value in ([], "x", 1, {"": ""}, {"sub_jobs": {}}, {"sub_jobs": [None, 1, "x", []]})),
    *(("entities", {"size": value}) for value in (10**400, 1e308, None, True, [], {}, "\ud83d", "\x00")),
    *(("job_type", value) for value in (None, 0, [], {}, "\u202e\x1b[2J", "x" * 99_999, "\ud800\udfff")),
    *(("error_code", value) for value in ({"a": {"b": []}}, 10**400, False, "\u0000", "é" * 9_999)),
    *(("fail_reason", value) for value in ({"a": {"b": []}}, [[[]]], 1e308, "\ud83d", "{" * 9_999, '{"a":' * 999)),
    *(("sub_jobs", value) for value in ({}, [[]], [{"status": 1}], [{"job_id": 1, "status": "FAIL"}] * 3)),
    *(("status", value) for value in ("\ud83d", " ", "\x00", "x" * 99_999, "ＳＵＣＣＥＳＳ", "SUCCESS\n")),
]
BYTES = [
    *(b"", b"null", b"[]", b'"x"', b"NaN", b"{", b"\xff" * 99, b"\xef\xbb\xbf{}", b"\x1f\x8b\x08", b"<html>", b"\0"),
    *(b"[" * 99_999, b'{"status":' * 9_999, b'{"status":"RUNNING","size":' + b"9" * 9_999 + b"}"),
    b'{"status":"RUNNING","status":"FAIL","job_type":1e999,"begin_time":-1e999,"entities":{"a":NaN,"b":Infinity}}',
]
HEADERS = [
    {"Retry-After": "9" * 400},
    {"Retry-After": "-1"},
    {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"},
    {"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2359"},
    {"Retry-After": "²"},
    {"Date": "Mon, 99 Foo 99999 99:99:99 +9999"},
    {"Date": ""},
    {"Location": "http://[::1"},
    {"Location": "//" + "x" * 9_999},
    {"X-Request-Id": "\xff" * 99},
    {"Content-Type": 'text/plain; charset="'},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "UTF-8"},
    {"Transfer-Encoding": "chunked"},
    {"Content-Length": "-1"},
    {"Set-Cookie": "a=b; Max-Age=" + "9" * 400},
    {"X" * 9_999: "y"},
]
RAW = [
    *(b"", b"\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 99999 x\r\n\r\n", b"HTTP/1.1 -1 x\r\n\r\n", b"\xff" * 999),
    *(
        b"HTTP/1.1 100 x\r\n\r\n" * 999,
        b"HTTP/1.1 200 \xff\r\nA: \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_999,
    ),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
]


def odd_answers() -> list[Reply]:
    """Return answers of every odd kind, for job queries."""
    whole = {**body("RUNNING"), "job_id": None}
    bodies = [*BYTES, *(json.dumps({**whole, field: value}).encode() for field, value in FIELDS)]
    replies = [Reply(200, content) for content in bodies]
    replies += [
        Reply(status, b'{"error":{"message":1,"code":[]}}', tuple(h.items())) for h in HEADERS for status in (200, 401)
    ]
    replies += [Reply(status, b"{}") for status in (199, 204, 299, 304, 399, 400, 418, 499, 599, 600, 999)]
    return replies + [Reply(raw=raw) for raw in RAW]


def test_an_answer_of_any_form_is_told_by_its_evsjob_and_ends_nothing(it: Siege) -> None:
    replies = odd_answers()
    made: list[Object] = [secret("own", token=EVIL_TOKEN)]
    for number, reply in enumerate(replies):
        job_id = f"{number:032x}"
        it.evil.answers[job_id] = reply
        made.append(secret(f"own-{number}", token=it.unique(EVIL_TOKEN)))
        made.append(token_connection(f"c-{number}", it.evil.url, f"own-{number}"))
        made.append(job(f"j-{number}", job_id, f"c-{number}"))
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: all(ready_of(it, "EvsJob").values()), 90, lambda: _without_status(it, replies))


def _without_status(it: Siege, replies: list[Reply]) -> str:
    silent = [int(name[2:]) for name, ready in ready_of(it, "EvsJob").items() if not ready]
    return "no status after " + ", ".join(str(replies[number])[:300] for number in silent)


@pytest.mark.parametrize("way", ["401 at the job query", "IAM"])
def test_an_answer_to_a_sign_in_of_any_form_is_told_and_ends_nothing(it: Siege, way: str) -> None:
    grants = [
        b"null",
        b'{"token":1}',
        b'{"token":{"expires_at":{}}}',
        b'{"token":{"expires_at":"9999-12-31T23:59:59Z"}}',
    ]
    grants += [
        b'{"token":{"expires_at":"0001-01-01T00:00:00Z","issued_at":"9999-12-31T23:59:59Z"}}',
        b"\xff",
        b"[" * 9_999,
    ]
    replies = [Reply(201, content, (("X-Subject-Token", f"t-{n}" * 9),)) for n, content in enumerate(grants)]
    replies += [Reply(201, b"{}", (("X-Subject-Token", value),)) for value in ("", "\xff", "x" * 60_000)]
    replies += [*(reply for reply in odd_answers() if reply.status == 401), *(Reply(raw=raw) for raw in RAW)]
    made: list[Object] = []
    for number, reply in enumerate(replies):
        name, job_id = f"p-{number}", f"{number:032x}"
        password = it.unique("a-password")
        made.append(secret(name, username=f"u{number}", password=password, domainName=str(number)))
        auth = {"password": {"secretRef": {"name": name}, "iamEndpoint": it.evil.url}}
        made.append(ours("EvsConnection", name, endpoint=it.evil.url, projectId="f" * 32, auth=auth))
        made.append(job(name, job_id, name))
        it.evil.answers[job_id] = reply if way != "IAM" else Reply(200, json.dumps(body(job_id=job_id)).encode())

    def iam(asked: Mapping[str, Any]) -> Reply:
        number = int(asked["auth"]["identity"]["password"]["user"]["name"][1:])
        return replies[number] if way == "IAM" else granted(f"granted-{number}" * 4)

    it.evil.iam = iam
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: all(ready_of(it, "EvsJob").values()), 90, lambda: _without_status(it, replies))


def test_numbers_at_the_ends_of_their_range_in_a_spec_end_nothing(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    it.evil.says(A, body("SUCCESS", job_id=A))
    it.evil.says("b" * 32, body("RUNNING", job_id="b" * 32))
    with it.others_go_on():
        for most in (2**31, 2**53, 2**53 + 1, 2**63 - 1):
            told = "told" if most > 2**53 else "taken"
            it.mallory.create(job(f"ended-{told}-{most}", A, ttlSecondsAfterFinished=most))
            it.mallory.create(job(f"late-{told}-{most}", "b" * 32, deadlineSeconds=most))
        eventually(lambda: all(ready_of(it, "EvsJob").values()), 30, lambda: str(ready_of(it, "EvsJob")))
        reasons = {name.rpartition("-")[0]: ready["reason"] for name, ready in ready_of(it, "EvsJob").items()}
        told = dict.fromkeys(("ended-told", "late-told"), "InvalidSpec")
        assert reasons == {"ended-taken": "JobSucceeded", "late-taken": "JobRunning", **told}


def test_names_of_any_length_are_told_and_end_nothing(it: Siege) -> None:
    longest = ".".join(["n" * 61] * 4)[:253]
    it.mallory.create(secret(longest, token=it.unique(EVIL_TOKEN)))
    it.evil.says(A, body("FAIL", job_id=A, fail_reason="x" * 2_000))
    with it.others_go_on():
        for name in (longest, "n" * 63, "1", "token", "access-key", "password.secret"):
            it.mallory.create(token_connection(name, it.evil.url, longest), job(name, A, name))
        it.mallory.create(token_connection("absent", it.evil.url, longest[:-1] + "a"))
        for name in (longest, "n" * 63, "1", "token", "access-key", "password.secret"):
            it.mallory.wait_reason("EvsJob", name, "JobFailed")
        eventually(lambda: longest in it.mallory.events(), 15)
        it.mallory.wait_reason("EvsConnection", "absent", "SecretNotFound")


PLANES = [chr(plane << 16 | place) for plane in range(17) for place in (0xF600, 0x4BE, 0x20, 0xFFFD)]


def test_a_character_of_every_plane_of_unicode_is_written(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    made = []
    for number, character in enumerate([*PLANES, "\ud83d", "\udc00", "\x7f", "\x85", "\u2028", "\ufffe", "\U0010ffff"]):
        job_id, text = f"{number:032x}", f"{character} disk"
        entities = {"volume_id": VOLUME_ID, "name": text, text: "value"}
        failed = {"job_type": text, "error_code": text, "fail_reason": text, "job_id": job_id}
        it.evil.says(job_id, body("FAIL", entities=entities, **failed))
        made.append(job(f"plane-{number}", job_id))
        if text.encode("utf-8", "replace").decode() == text and number < len(PLANES):
            made[-1]["metadata"]["annotations"] = {"evs-operator.dev/requestedAt": text}
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(
            lambda: {ready.get("reason") for ready in ready_of(it, "EvsJob").values()} == {"JobFailed"},
            40,
            lambda: str({name for name, ready in ready_of(it, "EvsJob").items() if not ready}),
        )
    for one in it.mallory.list("EvsJob").values():
        assert one["status"]["entities"]["volume_id"] == VOLUME_ID
    for number, character in ((0, "💾"), (1, "𠮷")):
        it.evil.says(A[:-1] + str(number), body("SUCCESS", job_id=A[:-1] + str(number), entities={"name": character}))
        it.mallory.create(job(f"verbatim-{number}", A[:-1] + str(number)))
        status = it.mallory.wait_reason("EvsJob", f"verbatim-{number}", "JobSucceeded")
        assert status["entities"] == {"name": character}


def test_an_error_text_of_any_plane_reaches_evsjob_and_connection(it: Siege) -> None:
    for number, character in enumerate(("😀", "𠮷", "\U000e0041", "\U0010fffd", "\ud83d")):
        name, job_id = f"e-{number}", f"{number:032x}"
        error = {"error_code": "APIGW.0301", "error_msg": f"{character} verify aksk signature fail"}
        it.evil.says(job_id, error, 401)
        it.mallory.create(secret(name, token=it.unique(EVIL_TOKEN)), token_connection(name, it.evil.url, name))
        it.mallory.create(job(name, job_id, name))
    with it.others_go_on():
        for number in range(5):
            it.mallory.wait_reason("EvsJob", f"e-{number}", "Unauthorized")
            it.mallory.wait_reason("EvsConnection", f"e-{number}", "Unauthorized")


def test_after_all_of_it_the_victims_credential_is_nowhere(it: Siege) -> None:
    assert VICTIM_TOKEN not in it.operator.log
    assert VICTIM_TOKEN not in json.dumps([*it.mallory.list("EvsJob").values()])
