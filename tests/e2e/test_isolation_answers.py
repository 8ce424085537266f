"""Answers cost no more than their size allows: what an endpoint can make the operator unpack, decode, parse and redact.

Work is measured as CPU time and memory as the kernel's peak, so that a busy machine changes neither. An answer is read
up to 8 MiB; here each is as large, as deep or as dearly encoded as that lets it be.
"""

from __future__ import annotations

import base64
import bz2
import encodings
import gzip
import json
import pkgutil
import zlib

import pytest

from support.account import Object, job, ours, secret
from support.evil import Reply
from support.jobs import body
from support.operator_process import eventually
from support.siege import Siege

MEBI = 2**20

CODECS = sorted(
    {name for _, name, _ in pkgutil.iter_modules(encodings.__path__)} | {"punycode", "idna", "unicode_escape"}
)
SLOW = b"x-" + b"a" * 2_000_000


def attack(it: Siege, replies: dict[str, Reply], way: str = "token", deadline: float = 90) -> None:
    """Have a job of mallory's asked for each answer, each with a credential of its own, until all are told."""
    made: list[Object] = []
    begun = len(it.evil.calls)
    for number, reply in enumerate(replies.values()):
        name, job_id = f"n-{number}", f"{number:032x}"
        it.evil.answers[job_id] = reply
        word = it.unique("a-credential-of-mallory")
        made.append(secret(name, token=word, accessKey=word, secretKey=word))
        auth = {way: {"secretRef": {"name": name}}}
        made.append(ours("EvsConnection", name, endpoint=it.evil.url, projectId="f" * 32, auth=auth))
        made.append(job(name, job_id, name))
        made[-1]["spec"]["polling"] = {"minIntervalSeconds": 3600, "maxIntervalSeconds": 3600}
    it.mallory.create(*made)
    eventually(lambda: it.told("EvsJob", "n-"), deadline)
    asked = {job_id for _, job_id in it.evil.calls[begun:]}
    assert asked >= {f"{number:032x}" for number in range(len(replies))}


@pytest.mark.parametrize("way", ["token", "accessKey"])
def test_the_charset_that_an_answer_names_never_chooses_the_code_that_reads_it(it: Siege, way: str) -> None:
    dated = ("Date", "Mon, 30 Nov 2026 10:00:00 GMT")
    replies = {
        f"{name} {status}": Reply(
            status,
            SLOW[: 2_000_000 if name == "punycode" else 200_000],
            (dated, ("Content-Type", f"text/plain; charset={name}")),
        )
        for name in CODECS
        for status in ((401, 200) if name == "punycode" else (401,))
    }
    with it.bounded(memory=100, cpu=30):
        attack(it, replies, way)


def test_the_coding_that_an_answer_names_is_unpacked_within_its_bounds(it: Siege) -> None:
    plain = json.dumps({**body("RUNNING"), "name": "x" * 60_000_000}).encode()
    packed = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "bzip2": bz2.compress(plain)}
    replies = {
        f"{coding} {status}": Reply(status, content, (("Content-Encoding", coding),))
        for coding, content in {
            **packed, "br": packed["gzip"], "zstd": packed["gzip"], "gzip, gzip": gzip.compress(packed["gzip"]),
            "GZIP": packed["gzip"], "x-gzip": packed["gzip"], "utf-8": packed["gzip"], "none": packed["gzip"],
            ", ".join(["gzip"] * 99): packed["gzip"], "x" * 9_000: packed["gzip"],
        }.items()
        for status in (200, 401)
    }  # fmt: skip
    with it.bounded(memory=100, cpu=30):
        attack(it, replies)


def _filled(item: bytes, size: int = 8 * MEBI - 200) -> bytes:
    count = size // (len(item) + 1)
    return b",".join([item] * count)


def blob(text: str) -> bytes:
    """Return base64 of text, which a redactor may want to open."""
    return base64.b64encode(text.encode())


NESTED = [
    json.dumps('%25%32%35\\\\"token ' * 90),
    '%25%32%35\\\\"token ' * 90,
    "\\u005c\\u0075" * 200,
    "&#38;&#x26;" * 150,
]
LARGEST: dict[str, bytes] = {
    "sub-jobs": b'{"status":"RUNNING","sub_jobs":[' + _filled(b'{"job_id":1}') + b"]}",
    "failed sub-jobs": b'{"status":"FAIL","job_type":"x","sub_jobs":[' + _filled(b'{"status":"FAIL"}') + b"]}",
    "sub-jobs within": b'{"status":"SUCCESS","job_type":"x","entities":{"sub_jobs":[' + _filled(b'{"id":1}') + b"]}}",
    "one word": b'{"status":"' + b"x" * (8 * MEBI - 99) + b'"}',
    "a reason": b'{"status":"FAIL","job_type":"x","fail_reason":"' + b"ab %" * (2 * MEBI - 99) + b'"}',
    "a reason of escapes": b'{"status":"FAIL","job_type":"x","fail_reason":"' + b"\\u00e9" * (MEBI) + b'"}',
    "an error text": b'{"error":{"code":"x","message":"' + b"token=x " * (MEBI - 99) + b'"}}',
    "entities": b'{"status":"RUNNING","entities":{' + b",".join(b'"k%d":"v"' % n for n in range(500_000)) + b"}}",
    "numbers": b'{"status":"RUNNING","x":[' + _filled(b"1") + b"]}",
    "lists in lists": b'{"status":"RUNNING","x":[' + _filled(b"[[[[[[]]]]]]") + b"]}",
    "no JSON": b"{" * (8 * MEBI - 9),
    "HTML": b"<p>token</p>" * (8 * MEBI // 12),
    **{
        f"blobs {number}": json.dumps(
            {**body("RUNNING"), "entities": {"sub_jobs": [
                {"job_id": f"{n:032x}", "status": "FAIL", "fail_reason": blob(text * 3).decode()[:4000],
                 "entities": {f"k{m}": blob(text).decode() for m in range(32)}} for n in range(54)
            ]}}
        ).encode()
        for number, text in enumerate(NESTED)
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_answer_takes_a_part_of_a_second_and_none_of_the_memory(it: Siege, kind: str) -> None:
    assert len(LARGEST[kind]) <= 8 * MEBI
    replies = {f"{kind} {number}": Reply(200, LARGEST[kind]) for number in range(6)}
    with it.bounded(memory=200, cpu=6 * 0.6 + 2.5, blocked=2.0):
        attack(it, replies)
