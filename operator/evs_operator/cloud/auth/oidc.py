"""Tokens of IAM for the operator's own identity token: no secret is stored anywhere.

docs/reference/jobs-api.md#temporary-credentials has the request. Kubernetes writes the identity token of the
operator's ServiceAccount into a file and replaces it before it expires, so the file is read for each request. IAM
trusts the cluster as the identity provider that the connection names.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from evs_operator.evs import errors

from .credentials import Oidc
from .iam import iam_origin

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2}")
_LONGEST: Final = 64 * 1024


class IdTokenRequests:
    """Asks with the identity token of the operator's ServiceAccount; `hold` is told of it before it is sent."""

    advice = (
        "Check at the identity provider in IAM that it trusts this cluster's issuer, the audience of the token and "
        "the operator's ServiceAccount, and that auth.oidc.identityProvider is its name."
    )

    def __init__(self, credential: Oidc, hold: Callable[[str], None] | None = None) -> None:
        self._credential = credential
        self._hold = hold or (lambda secret: None)
        self.token = ""
        """The token that was sent last."""

    async def request(self, project_id: str | None) -> httpx.Request:
        """Build the request with the token that is in the file now; raises Unauthorized where there is none."""
        self.token = token = await asyncio.to_thread(self._read)
        self._hold(token)
        auth: dict[str, object] = {"id_token": {"id": token}}
        if project_id:
            auth["scope"] = {"project": {"id": project_id}}
        return httpx.Request(
            "POST",
            f"{iam_origin(self._credential.iam_endpoint)}/v3.0/OS-AUTH/id-token/tokens",
            json={"auth": auth},
            headers={"Accept": "application/json", "X-Idp-Id": self._credential.identity_provider},
        )

    def _read(self) -> str:
        path = self._credential.token_file
        try:
            with Path(path).open("rb") as file:
                text = file.read(_LONGEST).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            text, why = "", getattr(error, "strerror", None) or "not a token"
        else:
            why = "not a token"
        if not _JWT.fullmatch(text):
            raised = errors.Unauthorized(f"the operator's identity token {path} cannot be used: {why}")
            raised.advice = (
                "Mount a projected ServiceAccount token into the operator's pod and name it with --oidc-token-file."
            )
            raise raised
        return text
