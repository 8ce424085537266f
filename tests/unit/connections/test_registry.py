"""Connections: which one is meant, who may use it, how often its Secret is read, and what is left when it goes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.cloud.auth.credentials import Token
from evs_operator.connections.access import ConnectionTroubleError
from evs_operator.connections.status_writer import verdict_of
from evs_operator.core.observation import Trouble
from evs_operator.evs import errors
from evs_operator.kube.api import KubeError
from support.connections import ConnectionsWorld
from support.memory import traced


@pytest.fixture
def world() -> ConnectionsWorld:
    world = ConnectionsWorld()
    world.api.put_secret("team-a", "evs-credentials", token="the-token-of-team-a")
    world.api.put_secret("evs-operator", "evs-credentials", token="the-token-of-the-platform")
    return world


async def trouble(world: ConnectionsWorld, namespace: str = "team-a", **spec: Any) -> Trouble:
    with pytest.raises(ConnectionTroubleError) as raised:
        await world.poll(namespace, **spec)
    return raised.value.trouble


async def test_a_secret_is_read_once_for_two_hundred_jobs(world: ConnectionsWorld) -> None:
    world.connect()
    await asyncio.gather(*(world.poll(job_id=f"{n:032x}") for n in range(200)))
    assert (world.reads(), len(world.cloud.calls)) == (1, 200)


async def test_a_secret_that_many_connections_use_is_read_once_for_those_that_ask_together(
    world: ConnectionsWorld,
) -> None:
    names = [f"c-{number}" for number in range(50)]
    for name in names:
        world.connect(name=name)
    refs = [{"connectionRef": {"kind": "EvsConnection", "name": name}} for name in names]
    await asyncio.gather(*(world.poll(**ref) for ref in refs))
    assert world.reads() == 1


async def test_a_refused_credential_costs_one_call_a_minute_for_all_connections_that_use_it(
    world: ConnectionsWorld,
) -> None:
    world.connect()
    world.connect(name="other")
    world.cloud.answer = lambda job_id: errors.Unauthorized("no", http_status=401)
    world.cloud.slow = True
    other = {"connectionRef": {"kind": "EvsConnection", "name": "other"}}
    asking = [world.poll(job_id=f"{n:032x}", **({} if n % 2 else other)) for n in range(200)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(e, errors.Unauthorized | ConnectionTroubleError) for e in found)
    assert len(world.cloud.calls) == 1
    for seconds in range(59):
        world.now += 1
        assert (await trouble(world)).reason is Reason.UNAUTHORIZED, seconds
    assert len(world.cloud.calls) == 1
    world.now += 1
    with pytest.raises(errors.Unauthorized):
        await world.poll()
    assert (await trouble(world, **other)).reason is Reason.UNAUTHORIZED
    assert len(world.cloud.calls) == 2


async def test_a_repaired_secret_is_tried_at_once(world: ConnectionsWorld) -> None:
    connection = world.connect()
    world.cloud.answer = lambda job_id: errors.Unauthorized("no", http_status=401)
    with pytest.raises(errors.Unauthorized):
        await world.poll()
    assert connection.refusal is not None
    assert not await world.registry.refresh(connection)
    world.now += 2
    world.api.put_secret("team-a", "evs-credentials", token="a-better-token")
    assert await world.registry.refresh(connection)
    assert connection.refusal is None
    world.cloud.answer = lambda job_id: errors.JobMissing("no such job")
    with pytest.raises(errors.JobMissing):
        await world.poll()
    assert connection.verified


@pytest.mark.parametrize(
    ("secret", "reason", "said"),
    [
        (404, ConnectionReason.SECRET_NOT_FOUND, "Secret team-a/evs-credentials does not exist: create it"),
        (403, ConnectionReason.SECRET_NOT_FOUND, "may not read Secret team-a/evs-credentials: grant it `get`"),
        ({"data": {}}, ConnectionReason.SECRET_KEY_MISSING, "Secret team-a/evs-credentials lacks token"),
        ({"data": {"token": "ICA="}}, ConnectionReason.SECRET_KEY_MISSING, "lacks token for auth.token"),
        ({"data": {"token": "%%%"}}, ConnectionReason.SECRET_KEY_MISSING, "key token of Secret"),
    ],
)
async def test_a_secret_that_cannot_be_used_is_named_with_what_to_do(
    world: ConnectionsWorld, secret: Any, reason: ConnectionReason, said: str
) -> None:
    world.api.objects["/api/v1/namespaces/team-a/secrets/evs-credentials"] = secret
    connection = world.connect()
    found = await trouble(world)
    assert found.reason is Reason.CREDENTIALS_INVALID
    assert said in found.message()
    assert connection.refusal is not None
    assert connection.refusal.reason is reason
    assert world.cloud.calls == []
    await trouble(world)
    assert world.reads() == 1  # the rounds read it again, not each job


BROKEN = [404, 403, {"data": {}}, {"data": {"token": "ICA="}}, {"data": {"token": "%%%"}}]


@pytest.mark.parametrize("secret", BROKEN)
async def test_a_secret_of_a_connection_that_works_may_be_away_or_broken_for_ten_seconds(
    world: ConnectionsWorld, secret: Any
) -> None:
    connection, path = world.connect(), "/api/v1/namespaces/team-a/secrets/evs-credentials"
    await world.poll()
    for _ in range(2):
        good, world.api.objects[path] = world.api.objects[path], secret
        for _ in range(9):
            world.now += 1
            assert not await world.registry.refresh(connection)
            await world.poll()
        world.api.objects[path] = good
        world.now += 1
        assert not await world.registry.refresh(connection)
    world.api.objects[path] = secret
    world.now += 1
    assert not await world.registry.refresh(connection)
    world.now += 10
    assert await world.registry.refresh(connection)
    assert (await trouble(world)).reason is Reason.CREDENTIALS_INVALID


async def test_a_secret_that_is_broken_is_not_borne_with_where_the_credential_was_refused(
    world: ConnectionsWorld,
) -> None:
    connection = world.connect()
    world.cloud.answer = lambda job_id: errors.Unauthorized("no", http_status=401)
    with pytest.raises(errors.Unauthorized):
        await world.poll()
    world.api.objects["/api/v1/namespaces/team-a/secrets/evs-credentials"] = 404
    world.now += 1
    assert await world.registry.refresh(connection)
    assert (await trouble(world)).reason is Reason.CREDENTIALS_INVALID


async def test_an_api_server_that_does_not_answer_says_nothing_of_the_secret(world: ConnectionsWorld) -> None:
    world.api.objects["/api/v1/namespaces/team-a/secrets/evs-credentials"] = 503
    connection = world.connect()
    with pytest.raises(KubeError):
        await world.poll()
    assert connection.refusal is None


@pytest.mark.parametrize("uid", ["u", "another"])
async def test_what_was_under_way_for_an_old_spec_cannot_touch_the_new_one(world: ConnectionsWorld, uid: str) -> None:
    old = world.connect()
    gate = asyncio.Event()
    world.api.meanwhile = lambda request: gate.wait()
    polling = asyncio.create_task(world.poll())
    await asyncio.sleep(0.01)
    world.api.put_secret("team-a", "new-credentials", token="the-new-token")
    new = {"token": {"secretRef": {"name": "new-credentials"}}}
    connection = world.connect(uid=uid, generation=2, auth=new)
    gate.set()
    await polling
    assert connection.credentials == Token("the-new-token")
    assert old.credentials is None  # what came too late is not kept


async def test_the_answer_to_an_old_credential_does_not_verify_the_new_one(world: ConnectionsWorld) -> None:
    world.connect()
    _, project, client = await world.registry.client_for("team-a", world.spec())
    connection = world.connect(generation=2, region="eu-de", auth={"token": {"secretRef": {"name": "evs-credentials"}}})
    world.api.put_secret("team-a", "evs-credentials", token="not-yet-seen")
    world.now += 2
    await world.registry.prepare(connection)
    await client.get_job(project, "0" * 32)
    assert not connection.verified


async def test_a_connection_that_was_created_anew_under_its_name_gets_its_own_credential(
    world: ConnectionsWorld,
) -> None:
    world.connect(uid="first")
    await world.poll()
    key = world.key()
    assert world.registry.remove(key, "first")
    world.api.put_secret("team-a", "other", token="the-second-token")
    connection = world.connect(uid="second", auth={"token": {"secretRef": {"name": "other"}}})
    await world.poll()
    assert connection.credentials == Token("the-second-token")


def test_the_late_news_that_a_namesake_is_gone_removes_nothing(world: ConnectionsWorld) -> None:
    world.connect(uid="first")
    world.connect(uid="second")
    assert not world.registry.remove(world.key(), "first")
    assert world.registry.get(world.key()) is not None


def test_an_older_version_of_a_connection_is_no_news(world: ConnectionsWorld) -> None:
    old = world.body(generation=1, region="old")
    world.connect(generation=2, region="new")
    assert world.registry.apply(world.key(), old) is None
    connection = world.registry.get(world.key())
    assert connection is not None
    assert connection.spec is not None
    assert connection.spec.region == "new"


async def test_the_own_default_connection_comes_before_the_clusters(world: ConnectionsWorld) -> None:
    world.connect("", "default", uid="c", allowedNamespaces={"selector": {}})
    world.api.put_namespace("team-a")
    connection, _, _ = await world.registry.client_for("team-a", world.spec())
    assert connection.credentials == Token("the-token-of-the-platform")
    world.connect()
    connection, _, _ = await world.registry.client_for("team-a", world.spec())
    assert connection.credentials == Token("the-token-of-team-a")


async def test_a_connection_that_the_watch_has_not_brought_yet_is_asked_for(world: ConnectionsWorld) -> None:
    path = "/apis/evs-operator.dev/v1alpha1/namespaces/team-a/evsconnections/default"
    world.api.objects[path] = world.body()
    await world.poll()
    assert len(world.cloud.calls) == 1


async def test_a_missing_connection_is_named(world: ConnectionsWorld) -> None:
    assert "create EvsConnection team-a/default" in (await trouble(world)).message()
    ref = {"connectionRef": {"kind": "ClusterEvsConnection", "name": "gone"}}
    assert "ClusterEvsConnection gone does not exist" in (await trouble(world, **ref)).message()


async def test_a_reference_without_a_kind_to_a_cluster_connection_says_so(world: ConnectionsWorld) -> None:
    ref = {"connectionRef": {"kind": "EvsConnection", "name": "shared"}}
    assert "there is a ClusterEvsConnection" not in (await trouble(world, **ref)).message()
    world.connect("", "shared", uid="c", allowedNamespaces={"names": ["team-a"]})
    said = (await trouble(world, **ref)).message()
    assert "EvsConnection team-a/shared does not exist" in said
    assert "there is a ClusterEvsConnection of that name: if it is meant, write connectionRef.kind" in said


@pytest.mark.parametrize(("namespace", "where"), [("team-a", "Secret team-a/"), ("", "the operator's Secret ")])
async def test_a_refused_credential_is_told_with_its_connection_and_its_secret(
    world: ConnectionsWorld, namespace: str, where: str
) -> None:
    connection = world.connect(namespace, allowedNamespaces={"names": ["team-a"]} if not namespace else None)
    world.cloud.answer = lambda job_id: errors.Unauthorized("evs:", said="The token must be updated", http_status=401)
    with pytest.raises(errors.Unauthorized):
        await world.poll()
    named = "EvsConnection team-a/default" if namespace else "ClusterEvsConnection default"
    told = f"{named}: the token has expired: put a new one into {where}evs-credentials."
    assert (await trouble(world)).message().endswith(told)
    assert verdict_of(connection, world.now)[1].endswith(told)


@pytest.mark.parametrize(
    "spec",
    [
        {"endpoint": "https://evs.attacker.example"},
        {"endpoint": "http://169.254.169.254"},
        {
            "auth": {
                "password": {"secretRef": {"name": "evs-credentials"}, "iamEndpoint": "https://iam.attacker.example"}
            }
        },
    ],
)
async def test_an_endpoint_that_is_not_allowed_is_named_before_the_secret_is_read(
    world: ConnectionsWorld, spec: dict[str, Any]
) -> None:
    connection = world.connect(**spec)
    found = await trouble(world)
    assert found.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert "--allow-endpoint" in found.message()
    assert connection.refusal is not None
    assert connection.refusal.reason is ConnectionReason.ENDPOINT_NOT_ALLOWED
    assert world.reads() == 0


@pytest.mark.parametrize("name", ["../../evs-operator/secrets/evs-credentials", "..%2fx", "Evs-Credentials", ""])
async def test_a_secret_reference_is_a_name_and_no_path(world: ConnectionsWorld, name: str) -> None:
    for auth in (
        {"token": {"secretRef": {"name": name}}},
        {"accessKey": {"secretRef": {"name": name}}},
        {"password": {"secretRef": {"name": name}, "iamEndpoint": "https://iam.eu-de.otc.t-systems.com"}},
    ):
        connection = world.connect(uid=str(auth), auth=auth)
        assert (await trouble(world)).reason is Reason.INVALID_SPEC
        assert connection.spec is None
    world.connect(uid="ca", tls={"caSecretRef": {"name": name}})
    assert (await trouble(world)).reason is Reason.INVALID_SPEC
    assert not world.api.requests


async def test_a_namespaced_connection_reads_no_other_namespaces_secret_whatever_its_reference_says(
    world: ConnectionsWorld,
) -> None:
    reference = {"name": "evs-credentials", "namespace": "evs-operator"}
    connection = world.connect(auth={"token": {"secretRef": reference}})
    await world.poll()
    assert connection.credentials == Token("the-token-of-team-a")
    assert world.reads("evs-operator") == 0


async def test_a_job_without_a_project_says_where_to_write_one(world: ConnectionsWorld) -> None:
    world.connect(projectId=None)
    assert "spec.projectId here or in EvsConnection team-a/default" in (await trouble(world)).message()


async def test_what_a_removed_connection_held_is_closed_and_forgotten(world: ConnectionsWorld) -> None:
    connection = world.connect()
    await world.poll()
    identity = weakref.ref(connection.identity) if connection.identity else None
    assert identity is not None
    world.registry.remove(world.key(), "u")
    assert connection.credentials is None
    assert connection.authority == b""
    await world.registry.close_retired(world.now)
    assert world.cloud.closed == 0  # calls under way may end
    world.now += 61
    await world.registry.close_retired(world.now)
    assert world.cloud.closed == 1
    world.now += 301
    await world.registry.close_retired(world.now)
    del connection
    gc.collect()
    assert identity() is None


async def test_ever_new_projects_grow_neither_the_memory_nor_the_sockets_of_a_connection(
    world: ConnectionsWorld,
) -> None:
    connection = world.connect()
    world.cloud.answer = lambda job_id: errors.JobMissing("no such job")

    async def ask(numbers: range) -> None:
        for number in numbers:
            with pytest.raises(errors.JobMissing):
                await world.poll(projectId=f"{number:032x}")

    await ask(range(100))
    with traced() as held:
        await ask(range(100, 2100))
        assert held() < 300_000
    assert len(connection.clients) == 16
    assert connection.wire is not None


async def test_secrets_are_held_for_redaction_before_they_are_used(world: ConnectionsWorld) -> None:
    world.connect()
    world.connect("", "default", uid="c", allowedNamespaces={"names": ["team-b"]})
    world.api.put_secret("evs-operator", "evs-credentials", token="token-that-is-the-platforms")
    seen: list[str] = []

    def answer(job_id: str) -> Exception:
        seen.append(world.redaction("the-token-of-team-a, token-that-is-the-platforms"))
        return errors.Rejected("x")

    world.cloud.answer = answer
    for namespace in ("team-a", "team-b"):
        with pytest.raises(errors.Rejected):
            await world.poll(namespace)
    assert seen == ["***, token-that-is-the-platforms", "***, ***"]


async def test_a_session_never_shows_what_its_secret_holds(world: ConnectionsWorld) -> None:
    connection = world.connect()
    await world.poll()
    assert "the-token" not in f"{connection!r} {connection}"


async def test_the_endpoint_is_part_of_whom_a_verdict_is_about(world: ConnectionsWorld) -> None:
    world.connect()
    other = world.connect(name="nl", endpoint="https://evs.eu-nl.otc.t-systems.com")
    world.cloud.answer = lambda job_id: errors.Unauthorized("no", http_status=401)
    with pytest.raises(errors.Unauthorized):
        await world.poll()
    await world.registry.prepare(other)
    assert other.refusal is None


async def test_what_is_issued_when_a_connection_is_gone_is_nobodys(world: ConnectionsWorld) -> None:
    """IAM may answer after the connection was deleted, with any word as the token."""
    connection = world.connect()
    world.connect("", "default", uid="c", allowedNamespaces={"names": ["team-b"]})
    await world.poll()
    await world.poll("team-b")
    late, platform = connection.identity, world.registry.get(world.key(""))
    assert late is not None
    world.registry.remove(world.key(), "u")
    late.redact.hold(["SUCCESS"])
    assert platform is not None
    assert platform.identity is not None
    for redact in (world.redaction, platform.identity.redact):
        assert redact("createVolume SUCCESS") == "createVolume SUCCESS"


async def test_only_what_cluster_connections_hold_is_shared(world: ConnectionsWorld) -> None:
    world.connect()
    world.connect("team-b", name="other")
    world.connect("", "default", uid="c", allowedNamespaces={"names": ["team-c"]})
    world.api.put_secret("evs-operator", "evs-credentials", token="token-that-is-the-platforms")
    world.api.put_secret("team-b", "evs-credentials", token="token-that-is-of-team-b")
    await world.poll()
    await world.poll("team-b", connectionRef={"name": "other"})
    await world.poll("team-c")
    assert dict(world.redaction._held) == {
        "team-a": "the-token-of-team-a",
        "team-b": "token-that-is-of-team-b",
        "": "token-that-is-the-platforms",
    }
