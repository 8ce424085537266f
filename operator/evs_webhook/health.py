"""/healthz, /readyz and /metrics, for the kubelet and Prometheus, on an address of their own without TLS."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from .metrics import CONTENT_TYPE, Metrics


class Health:
    """The application; `unready` says on one line why no request should come now, or ""."""

    def __init__(self, metrics: Metrics, unready: Callable[[], str]) -> None:
        self._metrics = metrics
        self._unready = unready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            await self._answer(scope["method"], scope["path"])(scope, receive, send)

    def _answer(self, method: str, path: str) -> Response:
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("GET or HEAD\n", 405, {"Allow": "GET, HEAD"})
        if path == "/healthz":
            return PlainTextResponse("ok\n")
        if path == "/readyz":
            problem = self._unready()
            return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)
        if path == "/metrics":
            return Response(self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})
        return PlainTextResponse("not found\n", 404)
