"""The gateway's throttle: so many requests in a window, then 429 (docs/reference/jobs-api.md#throttling).

Off until a limit is set. Windows are fixed and counted per policy: `api` counts all requests together, `user` and
`domain` per credential, `ip` per address. The text names limit and window as the real gateway does; `Retry-After`
comes only where asked for, because no real answer was ever seen with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from .envelopes import gateway_error
from .wire import Answer, Request

POLICIES = ("api", "user", "domain", "ip")


@dataclass(slots=True)
class Limit:
    """At most `limit` requests in `seconds`, per what `policy` counts."""

    limit: int
    seconds: int
    policy: str
    retry_after: str | None = None
    windows: dict[str, tuple[float, int]] = field(default_factory=dict)  # who -> (start, requests)

    def take(self, request: Request, now: float) -> Answer | None:
        """Count a request; return the refusal where there are too many."""
        who = self._who(request)
        start, count = self.windows.get(who, (now, 0))
        if not start <= now < start + self.seconds:
            start, count = now, 0
        self.windows[who] = (start, count + 1)
        if count < self.limit:
            return None
        return throttled(request, self.policy, self.limit, _window(self.seconds), self.retry_after)

    def _who(self, request: Request) -> str:
        if self.policy == "api":
            return ""
        if self.policy == "ip":
            return request.peer
        credential = request.header("X-Auth-Token") or (request.header("Authorization") or "").split(",")[0]
        return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()


def throttled(request: Request, policy: str, limit: int, window: str, retry_after: str | None) -> Answer:
    """Return the gateway's 429; `window` is such as `5 minute`."""
    text = f"The throttling threshold has been reached: policy {policy} over ratelimit,limit:{limit},time:{window}"
    answer = gateway_error(request, 429, "APIGW.0308", text)
    return answer if retry_after is None else answer.with_headers({"Retry-After": retry_after})


def _window(seconds: int) -> str:
    return f"{seconds // 60} minute" if seconds % 60 == 0 else f"{seconds} second"
