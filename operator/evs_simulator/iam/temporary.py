"""Temporary credentials: from a token, from an identity provider, from a node's metadata.

docs/reference/jobs-api.md#temporary-credentials has the requests.
All of them give either an access key with a security token or a token. The identity token of
`/v3.0/OS-AUTH/id-token/tokens` is not verified: any text with three parts is taken for a JWT.
"""

from __future__ import annotations

import re

from evs_simulator.clock import micros
from evs_simulator.envelopes import iam_error
from evs_simulator.wire import JSON, Answer, Request, json_answer
from evs_simulator.world import World

from . import tokens
from .accounts import AccessKey

_SHORTEST, _LONGEST = 900, 86_400
_METADATA_LIFE = 6 * 3600
_SECONDS = re.compile("[0-9]{1,5}")


def security_token(world: World, request: Request) -> Answer:
    """Give an access key for a token or an agency, for 15 minutes unless `duration_seconds` says otherwise."""
    tokens.caller(world, request)
    auth = (request.json() or {}).get("auth")
    identity = auth.get("identity") if isinstance(auth, dict) else None
    methods = identity.get("methods") if isinstance(identity, dict) else None
    if not isinstance(identity, dict) or methods not in (["token"], ["assume_role"]):
        return iam_error(400, "The request body is invalid: methods")
    options = identity.get(methods[0])
    seconds = options.get("duration_seconds", _SHORTEST) if isinstance(options, dict) else _SHORTEST
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not _SHORTEST <= seconds <= _LONGEST:
        return iam_error(400, "The request body is invalid: duration_seconds")
    key = world.accounts.issue_temporary_key(world.clock.now(), seconds)
    return json_answer(201, {"credential": _credential(key)})


def id_token(world: World, request: Request) -> Answer:
    """Grant a token for an identity token of a provider (X-Idp-Id)."""
    auth = (request.json() or {}).get("auth")
    given = auth.get("id_token") if isinstance(auth, dict) else None
    text = given.get("id") if isinstance(given, dict) else None
    if not request.header("X-Idp-Id") or not isinstance(text, str) or text.count(".") != 2:
        return iam_error(400, "The request body is invalid: id_token")
    scope = auth.get("scope") if isinstance(auth, dict) else None
    project = tokens.find_project(world, scope if isinstance(scope, dict) else {}, None)
    user = next(iter(world.accounts.users), None)
    token = tokens.grant(world, user, project)
    body = tokens.token_body(world, token, project, "mapped")
    return json_answer(201, {"token": body}, {"X-Subject-Token": token.token})


def metadata_token(world: World, request: Request) -> Answer:
    """Give the token that the second version of the metadata service asks for."""
    life = request.header("X-Metadata-Token-Ttl-Seconds") or ""
    if not _SECONDS.fullmatch(life) or not 1 <= int(life) <= _METADATA_LIFE:
        return Answer(400, b"Bad Request", {"Content-Type": "text/plain"})
    token = world.ids.request()
    world.metadata_tokens[token] = world.clock.now() + int(life)
    return Answer(200, token.encode(), {"Content-Type": "text/plain"})


def metadata_key(world: World, request: Request) -> Answer:
    """Give the access key of the node's agency; with a metadata token that one must be valid."""
    token = request.header("X-Metadata-Token")
    now = world.clock.now()
    if token is not None and now >= world.metadata_tokens.get(token, 0.0):
        return Answer(401, b"Unauthorized", {"Content-Type": "text/plain"})
    if not world.settings.agency:
        return Answer(401, b"Please configure Cloud Service Agency first", {"Content-Type": JSON})
    return json_answer(200, {"credential": _credential(world.accounts.issue_temporary_key(now, _METADATA_LIFE))})


def _credential(key: AccessKey) -> dict[str, object]:
    return {
        "access": key.access_key,
        "secret": key.secret_key,
        "securitytoken": key.security_token,
        "expires_at": micros(key.expires or 0.0),
    }
