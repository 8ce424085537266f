"""IAM and EVS in one, under httpx: grants `token-1`, `token-2` and so on; EVS takes the last one, or does as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from .jobs import body

IAM = "https://iam.example.com"
EVS = "https://evs.example.com"
AUTHENTICATION = {"error": {"message": "The request you have made requires authentication.", "code": 401}}


class IamCloud:
    """`iam` and `evs` say what these answer instead; `refused` are the projects that IAM grants nothing for."""

    def __init__(self) -> None:
        self.now = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
        self.life = timedelta(hours=24)
        self.iam_ahead = timedelta()
        self.grants: list[httpx.Request] = []
        self.granted: list[str] = []
        """The project of each token that was granted, "" for none."""
        self.calls: list[str] = []
        self.valid: set[str] = set()
        self.refused: set[str] = set()
        self.iam: Callable[[], httpx.Response] | None = None
        self.evs: Callable[[str], httpx.Response | None] = lambda token: None
        self.slow = False
        self.arrived = asyncio.Event()
        self.transport = httpx.MockTransport(self.answer)

    def clock(self) -> datetime:
        """Return the time, as our clock shows it."""
        return self.now

    @property
    def asked(self) -> list[str]:
        """The project that each request for a token named, "" for none."""
        return [_scope(request) for request in self.grants]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.arrived.set()
        for _ in range(10 if self.slow else 0):  # others get their turn
            await asyncio.sleep(0)
        if request.url.host == "iam.example.com":
            self.grants.append(request)
            if self.iam:
                return self.iam()
            if _scope(request) in self.refused:
                return httpx.Response(401, json=AUTHENTICATION)
            self.granted.append(_scope(request))
            return self.grant(f"token-{len(self.grants)}")
        token = request.headers["X-Auth-Token"]
        self.calls.append(token)
        scripted = self.evs(token)
        if scripted is not None:
            return scripted
        if token in self.valid:
            return httpx.Response(200, json=body("RUNNING"))
        return httpx.Response(401, json={"error_msg": "The token must be updated", "error_code": "APIGW.0307"})

    def grant(self, token: str, **fields: Any) -> httpx.Response:
        """Return the grant of a token, the only one that is valid from now on."""
        issued = self.now + self.iam_ahead
        times = {
            "issued_at": f"{issued:%Y-%m-%dT%H:%M:%S.%f}Z",
            "expires_at": f"{issued + self.life:%Y-%m-%dT%H:%M:%S.%f}Z",
        }
        self.valid = {token}
        return httpx.Response(201, json={"token": {**times, **fields}}, headers={"X-Subject-Token": token})


def _scope(request: httpx.Request) -> str:
    return str(json.loads(request.content)["auth"].get("scope", {}).get("project", {}).get("id", ""))
