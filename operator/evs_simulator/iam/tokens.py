"""The part of IAM that tokens come from: `/v3/auth/tokens`, `/v3/projects` (docs/reference/jobs-api.md#tokens-of-iam).

Refusals are those of IAM, not of the gateway: envelope E3 with a number for a code. A token is good for the project
that its scope names, by id or by name within a domain; without a project it is scoped to the user's domain and good
for no EVS call.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from evs_simulator.clock import micros
from evs_simulator.envelopes import envelope, iam_error
from evs_simulator.ids import hex_id
from evs_simulator.wire import Answer, RefusalError, Request, json_answer
from evs_simulator.world import World

from .accounts import Project, Token, User

_METHODS = ("password", "assume_role")


def create_token(world: World, request: Request) -> Answer:
    """Grant a token for a password or for an agency: 201, the token in X-Subject-Token."""
    identity, scope = _auth(request)
    methods = identity.get("methods")
    if not isinstance(methods, list) or len(methods) != 1 or methods[0] not in _METHODS:
        raise _bad("The request body is invalid: methods")
    user = by_password(world, request, identity) if methods == ["password"] else caller(world, request)
    project = find_project(world, scope, user.domain)
    token = grant(world, user, project)
    body = token_body(world, token, project, methods[0])
    if not parse_qs(request.query).get("nocatalog"):
        body["catalog"] = _catalog(request, token)
    return json_answer(201, {"token": body}, {"X-Subject-Token": token.token})


def show_token(world: World, request: Request) -> Answer:
    """Tell what a token (X-Subject-Token) is good for, and until when."""
    caller(world, request)
    token = world.accounts.tokens.get(request.header("X-Subject-Token") or "")
    if token is None or token.revoked or world.clock.now() >= token.expires:
        return iam_error(404, "The token could not be found.")
    project = world.accounts.projects.get(token.project_id or "")
    return json_answer(200, {"token": token_body(world, token, project, "password")}, {"X-Subject-Token": token.token})


def list_projects(world: World, request: Request) -> Answer:
    """List the projects, or the one of a name."""
    user = caller(world, request)
    names = parse_qs(request.query).get("name")
    found = [p for p in world.accounts.projects.values() if p.domain == user.domain and (not names or p.name in names)]
    projects = [{"id": p.project_id, "name": p.name, "domain_id": hex_id(p.domain), "enabled": True} for p in found]
    return json_answer(200, {"projects": projects, "links": {"self": "", "next": None, "previous": None}})


def caller(world: World, request: Request) -> User:
    """Return the user of X-Auth-Token. Raises RefusalError for a token that is missing or not valid."""
    token = world.accounts.tokens.get(request.header("X-Auth-Token") or "")
    if token is None or token.revoked or world.clock.now() >= token.expires or token.user is None:
        raise RefusalError(iam_error(401, "The X-Auth-Token is invalid!"))
    return token.user


def by_password(world: World, request: Request, identity: dict[str, object]) -> User:
    """Return the user of a password identity. Raises RefusalError where one of the two is wrong."""
    given = _object(_object(identity, "password"), "user")
    domain = given.get("domain")
    domain_name = domain.get("name") if isinstance(domain, dict) else None
    if "id" in given:
        user = world.accounts.user_with_id(str(given["id"]))
    else:
        user = world.accounts.user(str(given.get("name")), domain_name)
    if user is not None and user.locked:
        raise RefusalError(envelope("E2", 401, "The user is locked.", "IAM.0061", request))
    if user is None or user.password != given.get("password"):
        raise RefusalError(iam_error(401, "The username or password is wrong."))
    return user


def find_project(world: World, scope: dict[str, object], domain: str | None) -> Project | None:
    """Return the project of a scope, None for a domain or no scope. Raises RefusalError for an unknown one."""
    wanted = scope.get("project")
    if not isinstance(wanted, dict):
        return None
    named_domain = wanted.get("domain")
    if isinstance(named_domain, dict) and isinstance(named_domain.get("name"), str):
        domain = named_domain["name"]
    if "id" in wanted:
        project = world.accounts.projects.get(str(wanted["id"]))
    else:
        project = world.accounts.project_named(str(wanted.get("name")), domain)
    if project is None:
        raise RefusalError(iam_error(401, "The project could not be found."))
    return project


def grant(world: World, user: User | None, project: Project | None) -> Token:
    """Issue a token for this project, or for the domain where there is none."""
    project_id = None if project is None else project.project_id
    return world.accounts.issue_token(user, project_id, world.clock.now(), world.settings.token_length)


def token_body(world: World, token: Token, project: Project | None, method: str) -> dict[str, object]:
    """Return what IAM says about a token."""
    body: dict[str, object] = {
        "expires_at": micros(token.expires),
        "issued_at": micros(token.issued),
        "methods": [method],
        "roles": [{"id": "0", "name": "te_admin"}],
    }
    if token.user is not None:
        domain = {"id": hex_id(token.user.domain), "name": token.user.domain}
        body["user"] = {"id": token.user.user_id, "name": token.user.name, "domain": domain}
        if project is None:
            body["domain"] = domain
    if project is not None:
        domain = {"id": hex_id(project.domain), "name": project.domain}
        body["project"] = {"id": project.project_id, "name": project.name, "domain": domain}
    return body


def _auth(request: Request) -> tuple[dict[str, object], dict[str, object]]:
    auth = _object(request.json() or {}, "auth")
    scope = auth.get("scope")
    return _object(auth, "identity"), scope if isinstance(scope, dict) else {}


def _object(parent: dict[str, object], name: str) -> dict[str, object]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _bad(f"The request body is invalid: {name}")
    return value


def _bad(message: str) -> RefusalError:
    return RefusalError(iam_error(400, message))


def _catalog(request: Request, token: Token) -> list[dict[str, object]]:
    if token.project_id is None:  # EVS is a service of projects
        return []
    url = f"{request.scheme}://{request.header('Host')}"
    return [
        {
            "type": f"volume{version}",
            "name": f"cinder{version}",
            "id": hex_id(f"volume{version}"),
            "endpoints": [
                {
                    "id": hex_id(f"endpoint volume{version}"),
                    "interface": "public",
                    "region": "eu-de",
                    "region_id": "eu-de",
                    "url": f"{url}/{version or 'v2'}/{token.project_id}",
                }
            ],
        }
        for version in ("", "v2", "v3")
    ]
