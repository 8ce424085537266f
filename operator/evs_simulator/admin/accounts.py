"""Admin calls about who may ask: projects, users, tokens, access keys.

The same call adds and changes: what a call does not name stays as it is.
"""

from __future__ import annotations

from evs_simulator.iam.accounts import AccessKey, Project, Token, User
from evs_simulator.world import DEMO_DOMAIN, DEMO_PROJECT

from .call import AdminCall


def add_project(call: AdminCall) -> object:
    """Add a project."""
    call.only("project_id", "name", "domain")
    project_id = call.options.text("project_id", "") or call.world.ids.request()
    name = call.options.text("name", f"eu-de_{project_id[:6]}")
    call.world.accounts.projects[project_id] = Project(project_id, name, call.options.text("domain", DEMO_DOMAIN))
    return {"project_id": project_id, "name": name}


def add_user(call: AdminCall) -> object:
    """Add a user, or change password and lock of one."""
    call.only("name", "password", "domain", "locked")
    name, domain = call.options.text("name", ""), call.options.text("domain", DEMO_DOMAIN)
    user = call.world.accounts.user(name, domain)
    if user is None:
        user = User(name, "", domain)
        call.world.accounts.users.append(user)
    user.password = call.options.text("password", user.password)
    user.locked = call.options.flag("locked", user.locked)
    return {"user_id": user.user_id}


def add_token(call: AdminCall) -> object:
    """Add a token, or change the project, end and revocation of one."""
    call.only("token", "project_id", "expires_in", "revoked")
    accounts, options = call.world.accounts, call.options
    text = options.text("token", "")
    token = accounts.tokens.get(text)
    if token is None:
        user = next(iter(accounts.users), None)
        token = accounts.issue_token(user, DEMO_PROJECT, call.now, call.world.settings.token_length)
        if text:
            token = _renamed(call, token, text)
    token.project_id = call.options.text("project_id", token.project_id or "") or None
    if "expires_in" in call.given:
        token.expires = call.now + options.change("expires_in")
    token.revoked = call.options.flag("revoked", token.revoked)
    return {"token": token.token}


def remove_token(call: AdminCall) -> object:
    """Forget a token: from now on it is one that nobody issued."""
    if call.world.accounts.tokens.pop(call.which, None) is None:
        raise LookupError("no such token")
    return {}


def add_access_key(call: AdminCall) -> object:
    """Add an access key, or change secret, security token, end, state and lock of one."""
    call.only("access_key", "secret_key", "security_token", "expires_in", "active", "locked_for")
    options, keys = call.options, call.world.accounts.access_keys
    name = options.text("access_key", "") or call.world.ids.request()[-20:].upper()
    key = keys.setdefault(name, AccessKey(name, call.world.ids.request()))
    key.secret_key = options.text("secret_key", key.secret_key)
    key.security_token = options.text("security_token", key.security_token or "") or None
    key.active = options.flag("active", key.active)
    if "expires_in" in call.given:
        key.expires = call.now + options.change("expires_in")
    if "locked_for" in call.given:
        key.locked_until = call.now + options.change("locked_for")
    return {"access_key": name, "secret_key": key.secret_key}


def _renamed(call: AdminCall, token: Token, text: str) -> Token:
    del call.world.accounts.tokens[token.token]
    token.token = text
    call.world.accounts.tokens[text] = token
    return token
