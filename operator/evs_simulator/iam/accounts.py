"""Who may ask: projects, users, access keys and tokens, with their state.

Filled by `world` (the demo world), by `admin` and by `iam`; read by `gateway`. Nothing here answers a request. Times
are simulated seconds since 1970. Secrets are kept as they are: the values of a simulator protect nothing.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field

from evs_simulator.ids import hex_id

DAY = 86_400.0


@dataclass(slots=True)
class Project:
    """A project: what a token is good for."""

    project_id: str
    name: str
    domain: str


@dataclass(slots=True)
class User:
    """A person or a machine with a password."""

    name: str
    password: str
    domain: str
    locked: bool = False

    @property
    def user_id(self) -> str:
        """The user's id: 32 hex characters."""
        return hex_id(f"user {self.domain}/{self.name}")


@dataclass(slots=True)
class AccessKey:
    """An access key; with `security_token` a temporary one, valid until `expires`."""

    access_key: str
    secret_key: str
    security_token: str | None = None
    expires: float | None = None
    active: bool = True
    failures: int = 0  # wrong signatures in a row
    locked_until: float = 0.0


@dataclass(slots=True)
class Token:
    """A token of IAM; `project_id` is None for one that is scoped to a domain."""

    token: str
    project_id: str | None
    user: User | None
    issued: float
    expires: float
    revoked: bool = False


@dataclass(slots=True)
class Accounts:
    """All of them."""

    projects: dict[str, Project] = field(default_factory=dict)
    users: list[User] = field(default_factory=list)
    access_keys: dict[str, AccessKey] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def project_named(self, name: str, domain: str | None) -> Project | None:
        """Return the project of this name, in this domain where one is named."""
        found = (p for p in self.projects.values() if p.name == name and domain in (None, p.domain))
        return next(found, None)

    def user(self, name: str, domain: str | None) -> User | None:
        """Return the user of this name, in this domain where one is named."""
        return next((u for u in self.users if u.name == name and domain in (None, u.domain)), None)

    def user_with_id(self, user_id: str) -> User | None:
        """Return the user with this id."""
        return next((u for u in self.users if u.user_id == user_id), None)

    def issue_token(self, user: User | None, project_id: str | None, now: float, length: int) -> Token:
        """Make a token of this many characters that is valid for a simulated day."""
        token = Token(_token_text(length), project_id, user, now, now + DAY)
        self.tokens[token.token] = token
        return token

    def issue_temporary_key(self, now: float, life: float) -> AccessKey:
        """Make an access key with a security token, valid for `life` simulated seconds."""
        key = AccessKey(
            access_key="HST" + os.urandom(9).hex()[:17].upper(),
            secret_key=os.urandom(20).hex(),
            security_token=base64.b64encode(os.urandom(600)).decode(),
            expires=now + life,
        )
        self.access_keys[key.access_key] = key
        return key


def _token_text(length: int) -> str:
    return "MII" + base64.b64encode(os.urandom(max(length, 35))).decode()[: max(length, 35) - 3]
