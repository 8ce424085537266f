"""All credentials in use: which connections share one, and whom the lock of an access key concerns.

Filled by `credential_loader`; what is known of one credential is `identity`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from evs_operator.cloud.auth.credentials import AccessKey, Credentials
from evs_operator.cloud.auth.sign_in import SignIn
from evs_operator.core.observation import trouble_of
from evs_operator.evs import errors
from evs_operator.redact.redaction import Redaction

from .identity import Identity, Refusal

_KEPT_UNUSED: Final = 300.0
_KEPT_GOOD: Final = 30.0
"""Seconds for which a credential that nobody uses is kept, where it was refused and where it was not."""
_MOST_UNUSED: Final = 64
"""Credentials that nobody uses, at the most: 12 MiB of the largest ones, and the forms that are redacted."""
_LOCKED_ELSEWHERE: Final = trouble_of(
    errors.AccessKeyLocked("another endpoint of this cloud refused this access key"), lambda text: text
)


MakeSignIn = Callable[[Credentials, Callable[[str], None], Callable[[], None]], SignIn]
"""Takes a credential, what gets each secret value, and what is called before each request of signing in."""


class Identities:
    """All credentials in use, by endpoint and credential: connections that have both in common share one.

    `realm_of` names the cloud that an endpoint belongs to: a lock of an access key holds for the same key with the same
    secret key, at all endpoints of that cloud. Whoever knows the key's id alone can have nobody else locked out.
    """

    def __init__(
        self,
        now: Callable[[], float],
        make_sign_in: MakeSignIn,
        on_change: Callable[[Identity, bool], None],
        redaction: Redaction,
        *,
        on_project: Callable[[Identity, str], None] = lambda identity, project: None,
        realm_of: Callable[[str], str] = lambda endpoint: endpoint,
    ) -> None:
        self._now = now
        self._redaction = redaction
        self._make_sign_in = make_sign_in
        self._on_change = on_change
        self._on_project = on_project
        self._realm_of = realm_of
        self._by_key: dict[tuple[str, Credentials], Identity] = {}

    def __iter__(self) -> Iterator[Identity]:
        return iter(list(self._by_key.values()))

    def of(self, endpoint: str, credentials: Credentials) -> Identity:
        """Return the identity of a credential at an endpoint, an origin."""
        key = (endpoint, credentials)
        if key not in self._by_key:
            redact = self._redaction.for_call()
            make_sign_in = partial(self._make_sign_in, credentials, lambda secret: redact.hold((secret,)))
            identity = Identity(credentials, make_sign_in, self._now, self._changed, redact, self._on_project)
            redact.hold(identity.sign_in.literals())
            self._by_key[key] = identity
        return self._by_key[key]

    def keep_secrets(self) -> None:
        """Forget the secrets that no credential holds any more."""
        for identity in self:
            identity.redact.hold(identity.sign_in.literals())
        self._redaction.keep([identity.redact for identity in self])

    def forget_unused(self, used: Collection[Identity]) -> None:
        """Forget credentials that no connection uses: at once but for a moment, refused ones after five minutes.

        A lock still counts until then. Of those only some are remembered, or whoever creates connections with ever new
        credentials would have us hold them all.
        """
        now = self._now()
        unused = []
        for key, identity in list(self._by_key.items()):
            if identity in used:
                identity.unused_since = None
                continue
            if identity.unused_since is None:
                identity.unused_since = now
            if now - identity.unused_since >= (_KEPT_UNUSED if identity.refusal else _KEPT_GOOD):
                del self._by_key[key]
            else:
                unused.append((identity.unused_since, key))
        if len(unused) > _MOST_UNUSED:
            unused.sort(key=lambda item: item[0])
            for _, key in unused[:-_MOST_UNUSED]:
                del self._by_key[key]

    def _changed(self, identity: Identity, healed: bool) -> None:
        self._on_change(identity, healed)
        refusal = identity.refusal
        if refusal is not None and refusal.locked and isinstance(identity.credentials, AccessKey):
            self._lock_out_others(identity, refusal)

    def _lock_out_others(self, identity: Identity, refusal: Refusal) -> None:
        """Pass a lock on, in words of our own: what one endpoint answers is not shown by the connections of another."""
        wait = refusal.retry_at - self._now()
        origin = next((endpoint for (endpoint, _), found in self._by_key.items() if found is identity), "")
        for (endpoint, credentials), other in list(self._by_key.items()):
            if credentials != identity.credentials or other is identity:
                continue
            if self._realm_of(endpoint) == self._realm_of(origin) and not (other.refusal and other.refusal.locked):
                other.lock_out(_LOCKED_ELSEWHERE, wait)
