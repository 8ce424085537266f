"""A cloud that answers the job query with what a test put there, byte for byte, and holds an answer back on demand.

For tests that need to decide each answer; the simulator is the cloud for those that need one with a life of its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from .serving import serving

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
TOKEN = "a-token-that-is-valid"
_REFUSED = {"error_msg": "Incorrect IAM authentication information: decrypt token fail", "error_code": "APIGW.0301"}


@dataclass
class Answer:
    """What a job query gets; `gate` holds it back until it is set."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


class ScriptedCloud:
    """Answers by job id; a job without an answer is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.calls: Counter[str] = Counter()
        self.times: dict[str, list[float]] = {}
        """When each job was asked for, in monotonic seconds."""
        self.tokens = {TOKEN}
        self.seen: set[tuple[str, str | None]] = set()
        self.asked = threading.Condition()
        self.url = ""

    def put(self, job_id: str, body: dict[str, Any] | bytes, status: int = 200, **more: Any) -> None:
        """Answer for that job from now on; an object gets the job's id."""
        raw = body if isinstance(body, bytes) else json.dumps({"job_id": job_id, **body}).encode()
        self.answers[job_id] = Answer(raw, status, **more)

    def wait_for_call(self, job_id: str, count: int = 1, timeout: float = 20) -> None:
        """Return once the job was asked for that often."""
        with self.asked:
            if not self.asked.wait_for(lambda: self.calls[job_id] >= count, timeout):
                raise AssertionError(f"job {job_id} was asked for {self.calls[job_id]} times, not {count}")

    def answer(self, job_id: str, token: str | None) -> Answer:
        """Count a call and return its answer."""
        with self.asked:
            self.calls[job_id] += 1
            self.times.setdefault(job_id, []).append(time.monotonic())
            self.seen.add((job_id, token))
            self.asked.notify_all()
        if token not in self.tokens:
            return Answer(json.dumps(_REFUSED).encode(), 401)
        missing = Answer(b'{"error":{"message":"query job fail.","code":"Common.0011"}}', 400)
        return self.answers.get(job_id, missing)


@contextmanager
def scripted_cloud() -> Iterator[ScriptedCloud]:
    """Serve a scripted cloud on a free port of this machine."""
    cloud = ScriptedCloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = cloud.answer(self.path.rsplit("/", 1)[-1], self.headers.get("X-Auth-Token"))
            if answer.gate is not None:
                answer.gate.wait(30)
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have given up
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with serving(Handler) as cloud.url:
        yield cloud
