"""A jobs API that costs next to nothing: a job's whole life is written in its id.

Run as a process of its own by `operators`: it prints its address, answers `GET /v1/{project}/jobs/{job_id}`
and counts. `GET /stats` returns the counts, `POST /stats` starts them anew. Authentication is not looked at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Life:
    """What a job id says. Times are milliseconds of the epoch and milliseconds."""

    begin: int
    duration: int
    init: int
    subs: int

    @classmethod
    def of(cls, job_id: str) -> Life:
        """Read a job id; raises ValueError."""
        begin, duration, init, subs, _ = (int(part, 16) for part in job_id.split("-"))
        return cls(begin, duration, init, subs)

    @property
    def end(self) -> float:
        """When the job ends, in seconds of the epoch."""
        return (self.begin + self.duration) / 1000

    def status(self, now: int) -> str:
        """Return the word at that time."""
        age = now - self.begin
        return "INIT" if age < self.init else "RUNNING" if age < self.duration else "SUCCESS"


def job_id(number: int, *, begin: float, seconds: float, init: float, subs: int = 0) -> str:
    """Return the id of a job that begins at `begin` (epoch) and takes so many seconds, `init` of them as INIT."""
    parts = (round(begin * 1000), round(seconds * 1000), round(init * 1000), subs, number)
    return "-".join(f"{part:0{width}x}" for part, width in zip(parts, (11, 6, 6, 4, 6), strict=True))


def answer(identity: str, now: int) -> dict[str, object]:
    """Return the body of the job query."""
    life = Life.of(identity)
    if not life.subs:
        return _job(identity, life, now, {})
    step = life.duration // life.subs
    subs = []
    for number in range(life.subs):
        sub = Life(life.begin + number * step, step, 0, 0)
        if now >= sub.begin:
            subs.append(_job(f"{identity}-{number:x}", sub, now, {}))
    return {**_job(identity, life, now, {"sub_jobs": subs}), "job_type": "batchCreateVolume"}


def _job(identity: str, life: Life, now: int, entities: dict[str, object]) -> dict[str, object]:
    word = life.status(now)
    if not entities and word != "INIT":
        entities = {
            "volume_id": f"{identity[:8]:0<8}-{identity[-4:]:0>4}-4000-8000-{identity[-12:].replace('-', '0'):0>12}",
            "name": f"volume-{identity[-6:]}",
            "size": 40,
            "volume_type": "SSD",
        }
    return {
        "status": word,
        "entities": entities,
        "job_id": identity,
        "job_type": "createVolume",
        "begin_time": _time(life.begin),
        "end_time": _time(life.begin + life.duration) if word == "SUCCESS" else "",
        "error_code": None,
        "fail_reason": None,
    }


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class Counts:
    """What was asked."""

    def __init__(self) -> None:
        self.polls = 0
        self.by_second: Counter[int] = Counter()
        self.ended: Counter[str] = Counter()

    def as_json(self) -> dict[str, object]:
        """Return the counts; `late` are polls of jobs whose end had been told before."""
        late = sum(count - 1 for count in self.ended.values())
        return {"polls": self.polls, "by_second": self.by_second, "ended": len(self.ended), "late": late}


class _Connection(asyncio.Protocol):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a TCP transport can be written to

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            status, body = self._answer(method, path.partition("?")[0])
            content = json.dumps(body).encode()
            start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            if self._transport is not None:
                self._transport.write(start.encode() + content)

    def _answer(self, method: str, path: str) -> tuple[int, object]:
        if path == "/stats":
            if method == "POST":
                self._counts.__init__()  # type: ignore[misc]  # anew
            return 200, self._counts.as_json()
        identity = path.rsplit("/", 1)[-1]
        now = time.time()
        try:
            body = answer(identity, int(now * 1000))
        except ValueError:
            return 400, {"error": {"message": "query job fail.", "code": "Common.0011"}}
        self._counts.polls += 1
        self._counts.by_second[int(now)] += 1
        if body["status"] == "SUCCESS":
            self._counts.ended[identity] += 1
        return 200, body


async def _serve() -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(counts), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # ends with whoever started it
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
