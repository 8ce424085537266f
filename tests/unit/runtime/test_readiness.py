"""What the probes answer: unhealthy is what only a new process can mend, everything else is unready."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from evs_operator.runtime.readiness import Readiness

NOW = 1_000_000.0


@dataclass
class Process:
    """A process in good order that has listed everything; a test changes what is not."""

    last_turn: float = NOW
    unserved: float = 0.0
    answered_ago: float = 0.0
    pulse_ago: float = 0.0
    pulse_problem: str = ""
    schema_problem: str = ""
    waiting_for: str = ""
    synced: bool = True
    lease: Any = None
    faults: list[str] = field(default_factory=list)

    def readiness(self) -> Readiness:
        def unserved() -> float:
            if self.faults:
                raise RuntimeError(self.faults[0])
            return self.unserved

        pulse = SimpleNamespace(last=NOW - self.pulse_ago, problem=lambda: self.pulse_problem)
        watcher = SimpleNamespace(
            synced=SimpleNamespace(is_set=lambda: self.synced), pulse=pulse, waiting_for=self.waiting_for
        )
        return Readiness(
            parts=cast(Any, SimpleNamespace(dispatcher=SimpleNamespace(last_turn=self.last_turn, unserved=unserved))),
            server=cast(Any, SimpleNamespace(reads=SimpleNamespace(answered_at=time.monotonic() - self.answered_ago))),
            watcher=cast(Any, watcher),
            schema=cast(Any, SimpleNamespace(problem=self.schema_problem)),
            lease=self.lease,
            clock=cast(Any, lambda: NOW),
        )


UNHEALTHY = {
    "the scheduler stands": (Process(last_turn=NOW - 91.0), "the scheduler does not advance"),
    "an EvsJob has no worker": (Process(unserved=601.0), "EvsJobs are due and nobody polls them"),
    "the API server answers nothing good": (
        Process(answered_ago=241.0, pulse_ago=241.0),
        "no request to the API server has succeeded for 241 s",
    ),
}
HEALTHY = {
    "all is well": Process(),
    "a turn is late by a busy minute": Process(last_turn=NOW - 89.0),
    "a budget makes EvsJobs wait": Process(unserved=599.0),
    "requests fail and the watch lives": Process(answered_ago=3600.0),
    "the watch hangs and requests succeed": Process(pulse_ago=3600.0),
    "the API server is upgraded": Process(answered_ago=239.0, pulse_ago=239.0),
    "nothing is listed yet": Process(synced=False, last_turn=0.0, answered_ago=3600.0, pulse_ago=3600.0),
    "counting what waits is what fails": Process(faults=["injected"]),
}
UNREADY = {
    "permission is missing": (Process(waiting_for="no permission to list evsjobs"), "waiting: no permission"),
    "the first list is not complete": (Process(synced=False), "waiting: the first list of EvsJobs"),
    "the watch brings nothing": (Process(pulse_problem="the watch of EvsJobs is mute"), "the watch of EvsJobs is mute"),
    "a CRD is older": (Process(schema_problem="the CRD evsjobs lacks status.state"), "the CRD evsjobs lacks"),
    "the Lease cannot be had": (
        Process(lease=SimpleNamespace(leads=False, problem="no permission to write Leases")),
        "waiting: no permission to write Leases",
    ),
}


@pytest.mark.parametrize("what", UNHEALTHY)
def test_what_only_a_new_process_can_mend_is_unhealthy(what: str) -> None:
    process, said = UNHEALTHY[what]
    assert process.readiness().unhealthy() == said


@pytest.mark.parametrize("what", HEALTHY)
def test_what_a_new_process_would_not_mend_is_healthy(what: str) -> None:
    assert HEALTHY[what].readiness().unhealthy() is None


@pytest.mark.parametrize("what", UNREADY)
def test_what_keeps_a_process_from_working_is_unready_and_says_why(what: str) -> None:
    process, said = UNREADY[what]
    assert (process.readiness().unready() or "").startswith(said)
    assert process.readiness().unhealthy() is None


def test_a_standby_is_ready_and_so_is_a_leader_in_good_order() -> None:
    standby = Process(synced=False, lease=SimpleNamespace(leads=False, problem="")).readiness()
    assert (standby.unready(), standby.stands_by(), standby.leads()) == (None, True, False)
    leader = Process(lease=SimpleNamespace(leads=True, problem="")).readiness()
    assert (leader.unready(), leader.stands_by(), leader.leads()) == (None, False, True)
    assert Process().readiness().unready() is None
