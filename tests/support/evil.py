"""An endpoint that is allowed and answers what an attacker likes: any bytes, any header, or nothing at all.

It stands for a host below a wildcard of the allow-list and for a malicious cloud. Job queries are answered by job id,
requests for tokens by `iam`; both may be held back as long as a test wants.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .serving import serving

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `raw` replaces all of it, the status line too.

    `gate` holds it back until it is set; with `drips` the body comes a byte at a time until then.
    """

    status: int = 200
    body: bytes = b""
    headers: Headers = (("Content-Type", "application/json"),)
    gate: threading.Event | None = None
    raw: bytes | None = None
    drips: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a token, and when it came (monotonic seconds)."""

    at: float
    body: Mapping[str, object]


@dataclass
class Evil:
    """What is answered, and what was asked so far."""

    url: str = ""
    answers: dict[str, Reply] = field(default_factory=dict)
    iam: Callable[[Mapping[str, object]], Reply] = lambda body: granted("a-token-that-evil-grants")
    asked: list[Asked] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)

    def says(self, job_id: str, body: Mapping[str, object] | bytes, status: int = 200, **headers: str) -> None:
        """Answer a job query from now on; an underscore in a header's name stands for a dash."""
        raw = body if isinstance(body, bytes) else json.dumps({"job_id": job_id, **body}).encode()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.answers[job_id] = Reply(status, raw, (("Content-Type", "application/json"), *named))

    def calls_for(self, *job_ids: str) -> int:
        """Return how often these jobs were asked for."""
        return sum(job_id in job_ids for _, job_id in self.calls)


def refused(status: int, body: Mapping[str, object]) -> Reply:
    """Return an answer with an error."""
    return Reply(status, json.dumps(body).encode())


def granted(token: str, **headers: str) -> Reply:
    """Return IAM's answer with a token."""
    return Reply(201, b'{"token":{}}', (("X-Subject-Token", token), *headers.items()))


@contextmanager
def evil_host() -> Iterator[Evil]:
    """Serve such an endpoint on a free port of this machine."""
    evil = Evil()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            job_id = self.path.rsplit("/", 1)[-1]
            evil.calls.append((time.monotonic(), job_id))
            missing = refused(400, {"error": {"message": "query job fail.", "code": "Common.0011"}})
            self._send(evil.answers.get(job_id, missing))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            evil.asked.append(Asked(time.monotonic(), body))
            self._send(evil.iam(body))

        def _send(self, reply: Reply) -> None:
            if reply.gate is not None and not reply.drips:
                reply.gate.wait(300)
            with contextlib.suppress(OSError):  # who asked may have given up
                if reply.raw is not None:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                if not any(name.lower() == "content-length" for name, _ in reply.headers):
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                for at in range(len(reply.body) if reply.drips else 0):
                    self.wfile.write(reply.body[at : at + 1])
                    if reply.gate is not None and reply.gate.wait(0.5):
                        return
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024

        def handle_error(self, request: object, client_address: object) -> None:
            """Stay quiet: who asked may have given up."""

    with serving(Handler, Server) as evil.url:
        yield evil
