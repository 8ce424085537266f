"""The requests that bring one token: that for its project, and where IAM refuses it, one that tells whose fault it is.

IAM says the same of a wrong password and of a project that the user may not enter, and whoever shares a credential may
name any project. So a refusal is that of the project alone where another was granted a moment ago. Where that is not
known, or too many were refused since, a token for another project, or for none, is asked for. `auth` sends them.
"""

from __future__ import annotations

import contextlib
from datetime import datetime

import httpx

from evs_operator.evs import errors

from .iam import Tokens


class Exchange:
    """One way to one token; `doubtful` where whoever asks may name a project that is not the credential's."""

    def __init__(self, tokens: Tokens, project_id: str | None, namespace: str = "", *, doubtful: bool = False) -> None:
        self.token: str | None = None
        """What was granted."""
        self._tokens = tokens
        self._project_id = project_id
        self._issued = tokens.of(project_id, namespace)
        self._doubtful = doubtful
        self._refusal: errors.CloudError | None = None
        self._scope = project_id

    async def request(self) -> httpx.Request:
        """Build the request that is next; raises Unauthorized where there is nothing to ask with."""
        return await self._tokens.request(self._scope)

    def answered(self, response: httpx.Response, now: datetime) -> None:
        """Take an answer that is read: there is a token then, or another request to make, or a CloudError is raised."""
        try:
            token = self._tokens.accept(self._scope, response)
        except errors.CloudError as error:
            if self._refusal is not None:
                self._witnessed(error)
            else:
                self._refused(error, now)
        else:
            if self._refusal is None:
                self.token = token
            else:
                self._issued.refuse(_wrong_project(self._refusal))

    def given_up(self) -> None:
        """Take a request that nobody waits for any more."""
        if self._refusal is None:
            self._issued.unanswered()
        else:
            with contextlib.suppress(errors.CloudError):
                self._witnessed(errors.PassingError(""))

    def _refused(self, error: errors.CloudError, now: datetime) -> None:
        issuer = self._tokens.issuer
        if not error.about_credential:
            self.token = self._issued.refuse(error)
            return
        if issuer.vouched(now):
            self._issued.refuse(_wrong_project(error))
        witness = self._tokens.granted_elsewhere(self._project_id)
        if issuer.refused or (witness is None and (self._project_id is None or not self._doubtful)):
            self._issued.refuse(error)
        self._refusal, self._scope = error, witness

    def _witnessed(self, error: errors.CloudError) -> None:
        """Take what the request for another scope met, and raise what that makes of the first refusal."""
        if self._refusal is None:
            raise error
        if error.about_credential:
            self._tokens.issuer.was_tried(self._scope)
        else:
            self._refusal.of_project = True  # nothing is known of other projects
        self._issued.refuse(self._refusal)


def _wrong_project(refusal: errors.CloudError) -> errors.WrongProject:
    """Return what a refusal means where others were granted."""
    error = errors.WrongProject(
        f"IAM grants this credential a token for another project, but not for this one: {refusal.own}",
        said=refusal.said,
        code=refusal.code,
        http_status=refusal.http_status,
        request_id=refusal.request_id,
    )
    error.proven = True
    return error
