"""The rounds around connections: jobs polled at once on a change, credentials verified, status written and healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, cast

import pytest

from evs_operator.connections import credential_loader, refresh_order, registry, status_writer
from evs_operator.connections.controller import ConnectionController
from evs_operator.connections.registry import ConnectionRegistry
from evs_operator.connections.status_writer import ConnectionStatusWriter
from evs_operator.connections.verification import Verification
from evs_operator.core.plain_status import LEFT_OUT
from evs_operator.core.transitions import Transition
from evs_operator.evs import errors
from evs_operator.jobs.entry import Entry, Seen
from evs_operator.jobs.store import Store
from evs_operator.kube.api import KubeError
from evs_operator.kube.events import EventRecorder
from evs_operator.kube.objects import ObjectKey
from evs_operator.observe.metrics import Metrics
from evs_operator.runtime.intake import Intake
from support.api_server import Request
from support.connections import ENDPOINT, PROJECT, ConnectionsWorld, conditions

LIST = "/apis/evs-operator.dev/v1alpha1/{}evsconnections"


class FakeReconciler:
    """Knows the EvsJobs of each connection, and remembers who was woken."""

    def __init__(self, world: ConnectionsWorld) -> None:
        self.world = world
        self.jobs: list[Entry] = []
        self.woken: list[str] = []

    def add(self, name: str, namespace: str = "team-a", **spec: Any) -> None:
        self.jobs.append(Entry(name, namespace, name, Seen(spec=self.world.spec(**spec))))

    def jobs_of(self, key: ObjectKey) -> list[Entry]:
        return [e for e in self.jobs if e.seen.spec and self.world.registry.key_of(e.namespace, e.seen.spec) == key]

    def idle_jobs_of(self, key: ObjectKey, project_id: str | None) -> list[Entry]:
        return [e for e in self.jobs_of(key) if not e.place.busy and e.seen.spec and project_id in (None, PROJECT)]

    def wake(self, entries: Iterable[Entry]) -> None:
        self.woken += [entry.name for entry in entries]


class Care:
    """A world with its rounds, driven by the test."""

    def __init__(self) -> None:
        self.world = ConnectionsWorld(
            on_change=lambda connection: self.connections.changed(connection),
            on_foreign=lambda connection, metadata: self.connections.overwritten(connection, metadata),
            on_healed=lambda key, project_id: self.connections.poll_healed(key, project_id),
        )
        self.redaction = self.world.redaction
        self.metrics = Metrics()
        self.reconciler = FakeReconciler(self.world)
        api = self.world.api.kube
        self.told: list[Transition] = []
        events = cast(EventRecorder, self)
        self.writer = ConnectionStatusWriter(api, self.world.registry, self.world.clock, events, self.metrics)
        self.connections = ConnectionController(
            api=api,
            registry=self.world.registry,
            jobs=self.reconciler,
            clock=self.world.clock,
            writer=self.writer,
            namespaces=(),
        )
        self.listed: list[dict[str, Any]] = []
        for kind in ("", "cluster"):
            self.world.api.objects[LIST.format(kind)] = {
                "kind": "EvsConnectionList",
                "metadata": {"resourceVersion": "1"},
                "items": self.listed if not kind else [],
            }

    @property
    def written(self) -> list[tuple[str, dict[str, Any]]]:
        """The statuses that were written, each with the name of its connection."""
        return [(write.name, write.status) for write in self.world.api.writes]

    @property
    def tried(self) -> int:
        """How many statuses were sent."""
        return sum(bool(request.status) for request in self.world.api.requests)

    def refuse(self, error: KubeError | None) -> None:
        """Refuse every status from now on, or none."""
        self.world.api.refuse = lambda request: error if request.status else None

    def tell(self, key: ObjectKey, uid: str, transition: Transition | None) -> None:
        """Take an Event, as the recorder does."""
        if transition is not None:
            self.told.append(transition)

    def event(self, event_type: str | None = "MODIFIED", name: str = "default", **body: Any) -> None:
        """Bring an event of a connection, and let a LIST show the same."""
        found = self.world.body(**body)
        found["metadata"] |= {"namespace": "team-a", "name": name}
        self.listed[:] = [item for item in self.listed if item["metadata"]["name"] != name]
        if event_type != "DELETED":
            self.listed.append(found)
        self.connections.on_event("EvsConnection", event_type, found)

    async def rounds(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds * 2)):
            self.world.now += 0.5
            await self.connections._round()
            for _ in range(20):
                await asyncio.sleep(0)

    @property
    def status(self) -> dict[str, tuple[str, str]]:
        """The conditions that were written last."""
        return conditions(self.written[-1][1])


@pytest.fixture
async def care() -> AsyncIterator[Care]:
    care = Care()
    care.world.api.put_secret("team-a", "evs-credentials", token="the-token-of-team-a")
    yield care
    await care.connections._verification.aclose()


def refused() -> errors.CloudError:
    return errors.Unauthorized("evs: decrypt token fail", code="APIGW.0301", http_status=401)


async def test_a_connection_without_jobs_is_verified_with_one_call(care: Care) -> None:
    care.event()
    await care.rounds(1)
    assert care.status == {"Ready": ("Unknown", "NotYetVerified"), "Reconciling": ("True", "NotYetVerified")}
    assert care.world.cloud.calls == []
    await care.rounds(30)
    assert care.world.cloud.calls == ["proof"]
    assert care.status == {"Ready": ("True", "CredentialsValid")}
    assert len(care.written) == 2


async def test_what_is_learned_while_a_status_is_written_is_written_next(care: Care) -> None:
    care.event()

    async def accepted(request: Request) -> None:
        if request.status and len(care.written) == 0:
            await care.world.poll()

    care.world.api.meanwhile = accepted
    await care.rounds(1)
    assert [conditions(status)["Ready"][1] for _, status in care.written] == ["NotYetVerified", "CredentialsValid"]


async def test_a_connection_whose_jobs_prove_it_makes_no_call_of_its_own(care: Care) -> None:
    care.event()
    await care.world.poll()
    await care.rounds(30)
    assert "proof" not in care.world.cloud.calls
    assert care.status == {"Ready": ("True", "CredentialsValid")}


async def test_a_connection_without_a_project_is_verified_too(care: Care) -> None:
    care.event(projectId=None)
    await care.rounds(5)
    assert care.status == {"Ready": ("True", "CredentialsValid")}


async def test_a_refused_credential_is_tried_again_in_its_own_time_and_heals(care: Care) -> None:
    care.world.cloud.answer = lambda job_id: refused()
    care.event()
    await care.rounds(60)
    assert care.status == {"Ready": ("False", "Unauthorized"), "Stalled": ("True", "Unauthorized")}
    assert len(care.world.cloud.calls) == 1
    care.world.cloud.answer = lambda job_id: errors.JobMissing("no such job")
    await care.rounds(10)
    assert care.status == {"Ready": ("True", "CredentialsValid")}
    assert len(care.world.cloud.calls) == 2


async def test_an_endpoint_out_of_reach_is_tried_with_growing_waits_and_heals(care: Care) -> None:
    care.world.cloud.answer = lambda job_id: errors.Unreachable("evs is not reachable: connection refused")
    care.event()
    await care.rounds(60)
    assert care.status == {"Ready": ("False", "Unreachable"), "Reconciling": ("True", "Unreachable")}
    assert 3 <= len(care.world.cloud.calls) <= 5
    assert len(care.written) == 2
    care.world.cloud.answer = lambda job_id: errors.JobMissing("no such job")
    await care.rounds(60)
    assert care.status == {"Ready": ("True", "CredentialsValid")}


async def test_an_endpoint_that_is_not_evs_needs_a_person(care: Care) -> None:
    care.world.cloud.answer = lambda job_id: errors.EndpointInvalid("evs redirects to login.example")
    care.event()
    await care.rounds(10)
    assert care.status == {"Ready": ("False", "EndpointInvalid"), "Stalled": ("True", "EndpointInvalid")}


async def test_a_hung_endpoint_holds_up_no_other_connection(care: Care) -> None:
    care.world.cloud.hung.add(PROJECT)
    care.event(name="hung", auth={"token": {"secretRef": {"name": "other"}}})
    care.world.api.put_secret("team-a", "other", token="another-token")
    await care.rounds(5)
    assert care.world.cloud.calls == ["proof"]
    care.event(name="broken", auth={"token": {"secretRef": {"name": "gone"}}})
    await care.rounds(5)
    assert care.written[-1][0] == "broken"


async def test_a_short_absence_of_a_verified_endpoint_is_the_jobs_to_tell_and_a_long_one_the_connections(
    care: Care,
) -> None:
    care.event()
    await care.world.poll()
    await care.rounds(1)
    care.world.cloud.answer = lambda job_id: errors.Unreachable("no route")
    with pytest.raises(errors.Unreachable):
        await care.world.poll()
    await care.rounds(29)
    assert care.status == {"Ready": ("True", "CredentialsValid")}
    await care.rounds(2)
    assert care.status == {"Ready": ("False", "Unreachable"), "Reconciling": ("True", "Unreachable")}
    care.world.cloud.answer = lambda job_id: errors.JobMissing("no such job")
    with pytest.raises(errors.JobMissing):
        await care.world.poll()
    await care.rounds(1)
    assert care.status == {"Ready": ("True", "CredentialsValid")}


async def test_a_secret_that_arrives_a_moment_after_its_connection_is_no_news(care: Care) -> None:
    del care.world.api.objects["/api/v1/namespaces/team-a/secrets/evs-credentials"]
    care.event()
    await care.rounds(1)
    care.world.api.put_secret("team-a", "evs-credentials", token="the-token-of-team-a")
    await care.rounds(6)
    assert [conditions(status)["Ready"][1] for _, status in care.written] == ["NotYetVerified", "CredentialsValid"]


async def test_a_missing_secret_is_told_and_its_arrival_polls_the_jobs_at_once(care: Care) -> None:
    del care.world.api.objects["/api/v1/namespaces/team-a/secrets/evs-credentials"]
    care.reconciler.add("job")
    care.event()
    await care.rounds(5)
    assert care.status == {"Ready": ("False", "SecretNotFound"), "Stalled": ("True", "SecretNotFound")}
    care.reconciler.woken.clear()
    care.world.api.put_secret("team-a", "evs-credentials", token="the-token-of-team-a")
    await care.rounds(2.5)
    assert care.reconciler.woken == ["job"]


async def test_a_changed_secret_of_a_connection_in_good_order_polls_its_jobs_at_once(care: Care) -> None:
    care.reconciler.add("job")
    care.reconciler.add("another", connectionRef={"kind": "EvsConnection", "name": "other"})
    care.event()
    await care.world.poll()
    await care.rounds(5)
    care.reconciler.woken.clear()
    care.world.api.put_secret("team-a", "evs-credentials", token="a-rotated-token")
    await care.rounds(2.5)
    assert care.reconciler.woken == ["job"]


async def test_a_connection_that_changes_many_times_a_second_has_its_jobs_polled_once_a_second(care: Care) -> None:
    care.reconciler.add("job")
    for generation in range(1, 101):
        care.event(generation=generation, region=f"r-{generation}")
        care.world.now += 0.02
        if generation % 25 == 0:
            await care.connections._round()
    assert 2 <= len(care.reconciler.woken) <= 3
    care.reconciler.woken.clear()
    await care.rounds(2)
    assert care.reconciler.woken == ["job"], "what came last is polled for too"


async def test_jobs_of_every_connection_that_shares_a_healed_credential_are_polled(care: Care) -> None:
    care.reconciler.add("job")
    care.reconciler.add("another", connectionRef={"kind": "EvsConnection", "name": "other"})
    care.event()
    care.event(name="other")
    care.world.cloud.answer = lambda job_id: refused()
    with pytest.raises(errors.Unauthorized):
        await care.world.poll()
    await care.rounds(1)
    care.reconciler.woken.clear()
    care.world.now += 60
    care.world.cloud.answer = lambda job_id: errors.JobMissing("no such job")
    with pytest.raises(errors.JobMissing):
        await care.world.poll()
    assert sorted(care.reconciler.woken) == ["another", "job"]


async def test_a_default_connection_that_comes_or_goes_polls_the_jobs_that_it_serves(care: Care) -> None:
    care.reconciler.add("job")
    care.event("ADDED")
    assert care.reconciler.woken == ["job"]
    care.event("DELETED")
    assert care.reconciler.woken == ["job", "job"]
    care.event("DELETED")
    assert care.reconciler.woken == ["job", "job"]


async def test_a_connection_that_was_deleted_unseen_is_found_gone(care: Care) -> None:
    care.reconciler.add("job")
    care.event()
    await care.rounds(1)
    care.listed.clear()
    care.connections.resync_soon()
    care.reconciler.woken.clear()
    await care.rounds(1)
    assert care.world.registry.get(care.world.key()) is None
    assert care.reconciler.woken == ["job"]


async def test_a_list_that_may_not_be_read_removes_nothing(care: Care) -> None:
    care.event()
    care.world.api.objects[LIST.format("")] = 403
    care.connections.resync_soon()
    await care.rounds(1)
    assert care.world.registry.get(care.world.key()) is not None


async def test_a_restart_takes_nothing_back_that_it_does_not_know_better(care: Care) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "CredentialsValid",
        "message": "the cloud accepted the credential",
    }
    times = {"observedGeneration": 1, "lastTransitionTime": "2026-02-03T09:15:00Z"}
    body = care.world.body()
    body["metadata"] |= {"namespace": "team-a", "name": "default"}
    body["status"] = {"observedGeneration": 1, "conditions": [{**ready, **times}]}
    care.listed.append(body)
    care.connections.on_event("EvsConnection", None, body)
    await care.rounds(30)
    assert care.written == []
    assert care.world.cloud.calls == ["proof"]


async def test_a_write_that_was_refused_is_made_again(care: Care) -> None:
    care.refuse(KubeError(409, "changed"))
    care.event()
    await care.rounds(2)
    assert care.written == []
    care.refuse(None)
    await care.rounds(1)
    assert care.written


async def test_writes_of_a_connections_status_are_counted_by_their_result(care: Care) -> None:
    def count(result: str) -> float | None:
        labels = {"result": result}
        return care.metrics.registry.get_sample_value("evs_operator_connection_status_writes_total", labels)

    assert count("written") == count("forbidden") == 0
    care.event()
    await care.world.poll()
    await care.rounds(1)
    assert count("written") == len(care.written) == 1
    care.event("DELETED")
    for status, result in ((403, "forbidden"), (404, "gone"), (409, "conflict"), (0, "unreachable"), (500, "error")):
        care.refuse(KubeError(status, "refused"))
        care.event(uid=f"anew-{status}")
        await care.rounds(1)
        assert count(result), result
    assert count("written") == 1


async def test_secrets_of_a_namespace_leave_the_log_with_its_last_connection(care: Care) -> None:
    """Or the next team whose namespace has that name would meet them."""
    care.event()
    care.event(name="second")
    await care.rounds(400)
    for _ in range(2):
        care.world.now += 3600.0
        await care.rounds(1)
    care.event("DELETED")
    await care.rounds(100)
    assert care.redaction("the-token-of-team-a") == "***", "the second connection is still there"
    care.event("DELETED", "second")
    await care.rounds(100)
    assert care.redaction("the-token-of-team-a") == "the-token-of-team-a"


async def test_a_credential_that_was_replaced_leaves_the_log_an_hour_later(care: Care) -> None:
    care.event()
    await care.rounds(100)
    care.world.api.put_secret("team-a", "evs-credentials", token="a-brand-new-one")
    await care.rounds(100)
    assert care.redaction("the-token-of-team-a a-brand-new-one") == "*** ***", "calls with it may still be answered"
    care.world.now += 3600.0
    await care.rounds(100)
    assert care.redaction("the-token-of-team-a a-brand-new-one") == "the-token-of-team-a ***"


async def test_a_status_that_is_refused_for_long_is_written_again_with_growing_waits(
    care: Care, caplog: pytest.LogCaptureFixture
) -> None:
    care.refuse(KubeError(403, "forbidden"))
    care.event()
    await care.rounds(600)
    assert 10 <= care.tried <= 20
    assert caplog.text.count("forbidden") == 1, "the rest is told once a minute, with a count"
    care.refuse(None)
    await care.rounds(61)
    assert len(care.written) == 1


async def test_a_status_whose_text_is_refused_is_written_in_our_own_words_and_not_tried_whole_again(care: Care) -> None:
    care.event()
    refusal = KubeError(400, "invalid Unicode character")
    care.world.api.refuse = lambda request: (
        refusal if any(c["message"] != LEFT_OUT for c in request.status.get("conditions", ())) else None
    )
    care.world.cloud.answer = lambda job_id: refused()
    await care.rounds(60)
    assert {status["conditions"][0]["message"] for _, status in care.written} == {LEFT_OUT}
    assert care.status["Ready"] == ("False", "Unauthorized")
    assert care.tried == 2 * len(care.written)


async def test_a_404_of_a_status_is_no_deletion_and_is_tried_again(care: Care) -> None:
    care.event()
    await care.world.poll()
    care.refuse(KubeError(404, "the server could not find the requested resource"))
    await care.rounds(20)
    assert not care.written
    assert care.tried <= 6, "with growing waits"
    care.refuse(None)
    await care.rounds(20)
    assert care.status["Ready"][0] == "True"


def faulty_for(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, broken: list[bool]) -> None:
    """Have a function raise where it is about the connection `bad`, while `broken` holds True."""
    real = getattr(owner, name)

    def check(*arguments: Any, **named: Any) -> None:
        about = [getattr(value, "key", value) for value in (*arguments, *named.values())]
        endpoints = [value.get("endpoint") for value in arguments if isinstance(value, dict)]
        bad = any(isinstance(key, ObjectKey) and key.name == "bad" for key in about) or BAD_ENDPOINT in endpoints
        if broken[0] and bad:
            raise RuntimeError("injected")

    def faulty(*arguments: Any, **named: Any) -> Any:
        check(*arguments, **named)
        return real(*arguments, **named)

    async def faulty_later(*arguments: Any, **named: Any) -> Any:
        check(*arguments, **named)
        return await real(*arguments, **named)

    monkeypatch.setattr(owner, name, faulty_later if asyncio.iscoroutinefunction(real) else faulty)


BAD_ENDPOINT = "https://evs.eu-nl.otc.t-systems.com"
SEAMS = {
    "its spec is read": (registry, "parse_connection", "its spec cannot be read: a fault of the operator"),
    "it is opened": (credential_loader.CredentialLoader, "_open", "cannot be read: a fault of the operator"),
    "its turn is asked": (refresh_order, "_turn_of", ""),
    "its Secret is looked at": (ConnectionRegistry, "refresh", ""),
    "its verification is asked": (Verification, "_is_due", ""),
    "it is verified": (Verification, "_verify", ""),
    "a client is made for it": (ConnectionRegistry, "client", ""),
    "its verdict is asked": (status_writer, "verdict_of", ""),
    "its status is written": (ConnectionStatusWriter, "_write", ""),
    "its transition is logged": (status_writer, "_tell", ""),
}
"""Where a fault is injected, and what the status says of it, where it can."""


@pytest.mark.parametrize("where", SEAMS)
async def test_a_fault_of_ours_with_one_connection_is_its_own_and_heals(
    where: str, care: Care, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner, name, said = SEAMS[where]
    broken = [True]
    faulty_for(monkeypatch, owner, name, broken=broken)
    intake = Intake(
        api=care.world.api.kube,
        store=Store(care.world.clock),
        reconciler=cast(Any, None),
        rescheduling=cast(Any, care.reconciler),
        warm_start=cast(Any, None),
        take_connection=care.connections.on_event,
        clock=care.world.clock,
        listing=lambda: False,
    )
    for connection, uid in (("bad", "u-bad"), ("good", "u-good")):
        endpoint = BAD_ENDPOINT if connection == "bad" else ENDPOINT
        body = care.world.body(uid=uid, endpoint=endpoint)
        body["metadata"] |= {"namespace": "team-a", "name": connection}
        care.world.api.objects[ObjectKey("EvsConnection", "team-a", connection).path] = body
        care.listed.append(body)
        intake.on_event("EvsConnection", "ADDED", body)
    await care.rounds(60)
    assert ("good", "CredentialsValid") in [(n, conditions(s)["Ready"][1]) for n, s in care.written]
    lines = [line for line in caplog.messages if "EvsConnection team-a/bad" in line]
    assert 1 <= len(lines) <= 20, caplog.messages
    assert not [line for line in caplog.messages if line not in lines]
    if said:
        assert any(said in c["message"] for n, s in care.written if n == "bad" for c in s["conditions"])
    broken[0] = False
    care.event(name="new", uid="u-new")
    for _ in range(70):
        await care.rounds(5)
        for key in list(intake._aside):
            intake._aside[key] = 0.0
            await intake._take_again(key)
    assert ("bad", "CredentialsValid") in [(n, conditions(s)["Ready"][1]) for n, s in care.written]
    assert ("new", "CredentialsValid") in [(n, conditions(s)["Ready"][1]) for n, s in care.written]


@pytest.mark.parametrize("damage", ["another reason", "nothing left", "another generation", "a forged True"])
async def test_a_status_that_somebody_overwrote_is_put_right_and_the_log_says_who(
    damage: str, care: Care, caplog: pytest.LogCaptureFixture
) -> None:
    if damage == "a forged True":
        care.world.cloud.answer = lambda job_id: errors.PollTimeout("slow")
    care.event()
    await care.rounds(60)
    right = care.written[-1][1]
    ready = next(c for c in right["conditions"] if c["type"] == "Ready")
    wrong = {
        "another reason": {**right, "conditions": [{**ready, "reason": "Unauthorized", "status": "False"}]},
        "nothing left": {},
        "another generation": {**right, "observedGeneration": 7},
        "a forged True": {**right, "conditions": [{**ready, "reason": "CredentialsValid", "status": "True"}]},
    }[damage]
    writes = len(care.written)
    overwrite(care, wrong)
    await care.rounds(1)
    assert len(care.written) == writes + 1
    assert conditions(care.written[-1][1]) == conditions(right)
    assert care.written[-1][1]["observedGeneration"] == 1
    who = "EvsConnection team-a/default: its status was overwritten by 'kubectl-edit'"
    assert [line.startswith(who) for line in caplog.messages if "status was" in line] == [True]


async def test_two_that_overwrite_a_connection_do_not_do_so_for_all_they_can(care: Care) -> None:
    care.event()
    await care.rounds(10)
    right, writes = care.written[-1][1], len(care.written)
    for number in range(300):
        overwrite(care, {**right, "observedGeneration": number + 2})
        await care.rounds(1)
    assert 5 <= len(care.written) - writes <= 12


def overwrite(care: Care, status: dict[str, Any]) -> None:
    """Have somebody write the status of the connection, as the watch brings it."""
    body = care.world.body()
    body["metadata"] |= {"namespace": "team-a", "name": "default"}
    body["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "subresource": "status", "time": "t"}]
    care.connections.on_event("EvsConnection", "MODIFIED", {**body, "status": status})


def unknown_host() -> errors.CloudError:
    error = errors.Unreachable("evs is not reachable: its name is not known to DNS")
    error.mistaken, error.advice = True, "Correct the host name."
    return error


async def test_a_host_that_was_never_reached_stalls_the_connection_after_three_minutes_and_it_heals(
    care: Care,
) -> None:
    care.world.cloud.answer = lambda job_id: unknown_host()
    care.event()
    await care.rounds(170)
    assert care.status == {"Ready": ("False", "Unreachable"), "Reconciling": ("True", "Unreachable")}
    await care.rounds(40)
    assert care.status == {"Ready": ("False", "Unreachable"), "Stalled": ("True", "Unreachable")}
    assert [told.action for told in care.told][-1] == "ActionRequired"
    assert care.told[-1].note.endswith("its name is not known to DNS. Correct the host name.")
    writes = len(care.written)
    await care.rounds(600)
    assert len(care.written) == writes
    care.world.cloud.answer = lambda job_id: errors.JobMissing("no such job", http_status=404)
    await care.rounds(310)
    assert care.status["Ready"] == ("True", "CredentialsValid")


async def test_a_host_that_was_reached_before_stays_passing_and_an_event_warns_once(care: Care) -> None:
    care.event()
    await care.rounds(10)
    care.world.cloud.answer = lambda job_id: unknown_host()
    told = len(care.told)
    for _ in range(40):
        with suppress(errors.CloudError):
            await care.world.poll()
        await care.rounds(10)
    assert care.status == {"Ready": ("False", "Unreachable"), "Reconciling": ("True", "Unreachable")}
    assert [(one.action, one.type) for one in care.told[told:]] == [("OutOfReach", "Warning")]


async def test_a_new_process_does_not_take_back_that_a_person_must_act(care: Care) -> None:
    care.world.cloud.answer = lambda job_id: unknown_host()
    body = care.world.body()
    body["metadata"] |= {"namespace": "team-a", "name": "default"}
    said = {
        "reason": "Unreachable",
        "message": "",
        "lastTransitionTime": "2026-02-03T09:15:00Z",
        "observedGeneration": 1,
    }
    stalled = [{"type": "Ready", "status": "False", **said}, {"type": "Stalled", "status": "True", **said}]
    care.connections.on_event(
        "EvsConnection", None, {**body, "status": {"observedGeneration": 1, "conditions": stalled}}
    )
    await care.rounds(60)
    assert all(conditions(status)["Stalled"] == ("True", "Unreachable") for _, status in care.written)
    assert [told.action for told in care.told] == []
