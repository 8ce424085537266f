"""Whose rights the webhook uses: the caller's, for everything, as the API server's own audit log says."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane
from support.operator_process import ROOT, eventually
from support.webhook import GROUP, JOB_ID, RULES, Api, WebhookProcess, start_webhook, token_of, until_waiting

pytestmark = pytest.mark.controlplane
NAMESPACE = "rights"
JOBS = f"/v1/namespaces/{NAMESPACE}/evsjobs"


def _rule(*verbs: str) -> Mapping[str, object]:
    return {"apiGroups": [GROUP], "resources": ["evsjobs"], "verbs": list(verbs)}


@dataclass(frozen=True)
class RightsBench:
    """A control plane with an audit log, its webhook, and tokens by what they may do."""

    plane: ControlPlane
    api: Api
    webhook: WebhookProcess
    tokens: Mapping[str, str]


@pytest.fixture(scope="module")
def bench() -> Iterator[RightsBench]:
    with ControlPlane.start(audit=True) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        (role,) = (one for one in _example() if one["kind"] == "Role")
        allowed = {"sender": role["rules"], "writer": [_rule("create")], "reader": [_rule("get")], "nobody": []}
        tokens = {name: token_of(plane.kubeconfig_for(NAMESPACE, name, rules)) for name, rules in allowed.items()}
        kubeconfig = plane.kubeconfig_for("webhook", "webhook", [], cluster_rules=RULES)
        with start_webhook(kubeconfig, "--log-level", "debug") as webhook:
            yield RightsBench(plane, Api(plane), webhook, tokens)
            for token in (*tokens.values(), token_of(kubeconfig)):
                _, payload, signature = token.split(".")
                assert not any(part in webhook.log for part in (token, payload, signature, signature[:24]))


def _example() -> list[dict[str, Any]]:
    """Return what docs/webhook.md gives a sender."""
    return list(yaml.safe_load_all((ROOT / "examples" / "webhook" / "sender.yaml").read_text()))


def test_the_role_of_the_example_is_enough_for_a_sender_and_has_no_right_too_many(bench: RightsBench) -> None:
    (role,) = (one for one in _example() if one["kind"] == "Role")
    assert role["rules"] == [_rule("create", "get")]
    token = bench.tokens["sender"]
    assert bench.webhook.ask("POST", f"{JOBS}?name=a&wait=1", token, {"job_id": JOB_ID}).status == 201
    assert bench.webhook.ask("GET", f"{JOBS}/a?wait=1", token).status == 202


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{JOBS}/a", None),
        ("GET", f"{JOBS}/a?wait=5s", None),
        ("GET", JOBS, None),
        ("POST", f"{JOBS}?wait=5s", {"job_id": JOB_ID}),
        ("POST", f"{JOBS}/a/reconcile", None),
        ("POST", f"{JOBS}/a/reconcile?wait=5s", None),
    ],
)
def test_what_the_caller_may_not_is_403_in_the_api_servers_words(
    bench: RightsBench, method: str, path: str, body: object
) -> None:
    answer = bench.webhook.ask(method, path, bench.tokens["nobody"], body)
    assert answer.status == 403
    assert f'User "system:serviceaccount:{NAMESPACE}:nobody" cannot' in answer.json["detail"]


def test_who_may_create_and_not_read_is_answered_at_once_with_what_was_made(bench: RightsBench) -> None:
    token, began = bench.tokens["writer"], time.monotonic()
    made = bench.webhook.ask("POST", f"{JOBS}?name=w&wait=60", token, {"job_id": JOB_ID})
    assert (made.status, made.json["name"], made.json["ended"]) == (201, "w", False)
    assert time.monotonic() - began < 20
    again = bench.webhook.ask("POST", f"{JOBS}?name=w", token, {"job_id": JOB_ID})
    assert again.status == 403
    assert "you may not read it" in again.json["detail"]


def test_who_may_read_and_not_patch_cannot_have_it_reconciled(bench: RightsBench) -> None:
    bench.api.make(NAMESPACE, "r")
    assert bench.webhook.ask("GET", f"{JOBS}/r?wait=1", bench.tokens["reader"]).status == 202
    assert bench.webhook.ask("POST", f"{JOBS}/r/reconcile?wait=1", bench.tokens["reader"]).status == 403
    assert "annotations" not in bench.api.get(NAMESPACE, "r")["metadata"]


def _expired(plane: ControlPlane, token: str) -> str:
    """Return the token as it was yesterday, signed by the API server's own key."""
    header, payload, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims |= {"iat": claims["iat"] - 90_000, "nbf": claims["nbf"] - 90_000, "exp": claims["iat"] - 60}
    signed = f"{header}.{_encoded(json.dumps(claims).encode())}"
    key = str(plane.ca_file.with_suffix(".key"))
    command = ["openssl", "dgst", "-sha256", "-sign", key]
    return (
        f"{signed}.{_encoded(subprocess.run(command, input=signed.encode(), capture_output=True, check=True).stdout)}"
    )


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("kind", ["expired", "for another audience", "of a deleted account", "not signed", "no token"])
@pytest.mark.parametrize(("method", "path"), [("GET", f"{JOBS}/a?wait=5s"), ("POST", JOBS), ("GET", JOBS)])
def test_a_token_that_the_api_server_refuses_is_401(bench: RightsBench, kind: str, method: str, path: str) -> None:
    answer = bench.webhook.ask(method, path, _refused(bench, kind), {"job_id": JOB_ID} if method == "POST" else None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="evs-operator", error="invalid_token"'
    assert answer.headers["content-type"] == "application/problem+json"


def _refused(bench: RightsBench, kind: str) -> str:
    token = bench.tokens["sender"]
    if kind == "expired":
        return _expired(bench.plane, token)
    if kind == "for another audience":
        command = ("create", "token", "sender", "-n", NAMESPACE, "--audience=https://elsewhere.example.com")
        return bench.plane.kubectl(*command).stdout.strip()
    if kind == "of a deleted account":
        deleted = token_of(bench.plane.kubeconfig_for(NAMESPACE, "deleted", []))
        bench.plane.kubectl("delete", "serviceaccount", "deleted", "-n", NAMESPACE)
        return deleted
    return token.rpartition(".")[0] + ".AAAA" if kind == "not signed" else "x"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer a\tb"},
        {"Authorization": "Bearer {token}, Bearer {token}"},
        {"Authorization": 'Bearer {token}", Impersonate-User="admin'},
        {"Cookie": "token={token}"},
        {"X-Authorization": "Bearer {token}"},
    ],
    ids=str,
)
def test_without_one_bearer_token_nothing_is_asked_of_the_api_server(
    bench: RightsBench, header: dict[str, str]
) -> None:
    before = len(bench.plane.audit_events())
    sent = {name: value.replace("{token}", bench.tokens["sender"]) for name, value in header.items()}
    answer = bench.webhook.ask("GET", f"{JOBS}/a", None, headers=sent)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="evs-operator"')
    ours = [one for one in bench.plane.audit_events()[before:] if str(one.get("userAgent", "")).startswith("evs-")]
    assert ours == []


def test_no_header_of_the_caller_but_the_token_reaches_the_api_server(bench: RightsBench) -> None:
    sent = {
        "Impersonate-User": "system:admin",
        "Impersonate-Group": "system:masters",
        "X-Remote-User": "system:admin",
        "X-Forwarded-For": "203.0.113.7",
        "User-Agent": "forged/1.0",
        "Host": "evil.example.com",
    }
    answer = bench.webhook.ask("GET", f"{JOBS}/a", bench.tokens["nobody"], headers=sent)
    assert answer.status == 403
    asked = [one for one in bench.plane.audit_events() if one["user"]["username"].endswith(":nobody")]
    assert asked
    assert not any("impersonatedUser" in one for one in asked)
    assert all(one["userAgent"].startswith("evs-operator-webhook/") for one in asked)
    assert "203.0.113.7" not in json.dumps(asked)


def test_the_audit_log_names_the_caller_for_everything_written_and_the_webhook_only_watches(bench: RightsBench) -> None:
    bench.webhook.ask("POST", f"{JOBS}?name=audit", bench.tokens["sender"], {"job_id": JOB_ID})
    events = [one for one in bench.plane.audit_events() if not str(one.get("userAgent")).startswith("kubectl")]
    by_user: dict[str, set[tuple[str, str]]] = {}
    for event in events:
        reference = event.get("objectRef") or {}
        by_user.setdefault(event["user"]["username"], set()).add((event["verb"], str(reference.get("resource"))))
    assert ("create", "evsjobs") in by_user[f"system:serviceaccount:{NAMESPACE}:sender"]
    assert by_user["system:serviceaccount:webhook:webhook"] <= {(verb, "evsjobs") for verb in ("get", "list", "watch")}
    written = [one for one in events if str(one.get("userAgent")).startswith("evs-operator-webhook/")]
    assert not any(one["user"]["username"].endswith(":webhook") for one in written)


def test_without_the_right_to_list_it_says_so_and_is_not_ready(bench: RightsBench) -> None:
    kubeconfig = bench.plane.kubeconfig_for("webhook", "blind", [], cluster_rules=[_rule("get")])
    with start_webhook(kubeconfig, ready=False) as webhook:
        eventually(lambda: 'cannot list resource "evsjobs"' in webhook.log, 30, lambda: webhook.log)
        assert webhook.http("/readyz")[0] == 503


def test_an_api_server_that_restarts_ends_no_wait(bench: RightsBench) -> None:
    names = [f"job-{number}" for number in range(20)]
    for name in names:
        bench.api.make(NAMESPACE, name)
    with ThreadPoolExecutor(20) as pool:
        token = bench.tokens["sender"]
        waits = [pool.submit(bench.webhook.ask, "GET", f"{JOBS}/{name}?wait=3m", token) for name in names]
        until_waiting(bench.webhook, 20)
        bench.plane.stop_apiserver()
        assert bench.webhook.ask("GET", f"{JOBS}/a", token).status == 503
        bench.plane.start_apiserver()
        for name in names:
            bench.api.say(NAMESPACE, name, "Complete")
        assert {one.result(90).status for one in waits} == {200}
