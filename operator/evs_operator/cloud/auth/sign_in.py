"""How one credential signs in, for all who use it: tokens, keys and the clock's skew are kept once for all of them.

An identity holds one `SignIn` for each credential at each endpoint and makes clients with it. All is in memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from .authentication import AccessKeyAuth, Clock, GrantedTokenAuth, MachineKeyAuth, ProofAuth, Signer, TokenAuth
from .credentials import AccessKey, Credentials, InstanceMetadata, Oidc, Password, Token, secrets_of
from .iam import PasswordRequests, Tokens
from .machine import MachineKeys
from .oidc import IdTokenRequests


class SignIn:
    """Makes authentications for one credential; `hold` gets each secret value before it is used.

    `on_request` is called before each request that comes on top of the one that is authenticated.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        clock: Clock,
        hold: Callable[[str], None] | None = None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._signer = Signer(clock=clock, on_request=on_request)
        self._tokens: Tokens | None = None
        self._keys: MachineKeys | None = None
        self._identity: IdTokenRequests | None = None
        match credentials:
            case Password():
                self._tokens = Tokens(PasswordRequests(credentials), clock=clock, hold=hold, on_request=on_request)
            case Oidc():
                self._identity = IdTokenRequests(credentials, hold)
                self._tokens = Tokens(self._identity, clock=clock, hold=hold, on_request=on_request)
            case InstanceMetadata():
                self._keys = MachineKeys(credentials, clock=clock, hold=hold, on_request=on_request)
            case AccessKey() | Token():
                pass

    def auth(self, project_id: str, *, namespace: str = "", doubtful: bool = False) -> httpx.Auth:
        """Return the authentication for calls to one project, on behalf of a namespace.

        `doubtful` where the namespace may name a project that is not the credential's.
        """
        match self._credentials:
            case AccessKey():
                return AccessKeyAuth(self._credentials, project_id, signer=self._signer)
            case Token():
                return TokenAuth(self._credentials)
        if self._tokens is not None:
            return GrantedTokenAuth(self._tokens, project_id, clock=self._clock, namespace=namespace, doubtful=doubtful)
        if self._keys is not None:
            return MachineKeyAuth(self._keys, project_id, signer=self._signer, clock=self._clock)
        raise TypeError(type(self._credentials).__name__)

    def proof(self) -> httpx.Auth | None:
        """Return an authentication that only signs in; None where a call to any project shows the same."""
        return None if self._tokens is None else ProofAuth(self._tokens, clock=self._clock)

    def literals(self) -> Iterator[str]:
        """Yield every secret value that is held, for redaction."""
        yield from secrets_of(self._credentials)
        yield from self._tokens.held() if self._tokens is not None else ()
        if self._identity is not None and self._identity.token:
            yield self._identity.token
        if self._keys is not None and self._keys.issued.value is not None:
            yield from secrets_of(self._keys.issued.value)


def auth_for(
    credentials: Credentials, project_id: str, *, clock: Clock, hold: Callable[[str], None] | None = None
) -> httpx.Auth:
    """Return an authentication that shares nothing with another; `clock` returns aware times."""
    return SignIn(credentials, clock=clock, hold=hold).auth(project_id)
