"""News of a connection looks at the EvsJobs that mean it, and at no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from evs_operator.api.spec import EvsJobSpec
from evs_operator.jobs.entry import Entry
from evs_operator.jobs.store import Store
from evs_operator.kube.objects import ObjectKey
from support.connections import ConnectionsWorld

NAMESPACES = ("one", "two")
NAMES = ("default", "other")
CONNECTIONS = [ObjectKey("EvsConnection", namespace, name) for namespace in NAMESPACES for name in NAMES]
CONNECTIONS += [ObjectKey("ClusterEvsConnection", "", name) for name in NAMES]
REFS: list[Mapping[str, str] | None] = [None, *({"kind": key.kind, "name": key.name} for key in CONNECTIONS)]
DONE = {"jobId": "0" * 32, "completionTime": "2026-02-03T09:15:00Z"}


class Jobs(RuleBasedStateMachine):
    """EvsJobs and connections that come, change and go."""

    uids: Bundle[str] = Bundle("uids")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(lambda: 0.0)
        self.present: set[ObjectKey] = set()
        self.version = 0

    def key_of(self, namespace: str, spec: EvsJobSpec) -> ObjectKey:
        world = ConnectionsWorld()
        for key in self.present:
            world.registry.apply(key, world.body())
        return world.registry.key_of(namespace, spec)

    @rule(
        target=uids,
        number=st.integers(0, 5),
        namespace=st.sampled_from(NAMESPACES),
        ref=st.sampled_from(REFS),
        suspend=st.booleans(),
        done=st.booleans(),
        valid=st.booleans(),
    )
    def apply(
        self, number: int, namespace: str, ref: Mapping[str, str] | None, suspend: bool, done: bool, valid: bool
    ) -> str:
        self.version += 1
        uid = f"{namespace}-{number}"
        spec: dict[str, Any] = {"jobId": "0" * 32 if valid else "!", "suspend": suspend}
        if ref is not None:
            spec["connectionRef"] = ref
        metadata = {"uid": uid, "namespace": namespace, "name": uid}
        metadata |= {"resourceVersion": str(self.version), "generation": self.version}  # type: ignore[dict-item]
        self.store.apply("MODIFIED", {"metadata": metadata, "spec": spec, "status": DONE if done else {}})
        return uid

    @rule(uid=uids, done=st.booleans())
    def wrote(self, uid: str, done: bool) -> None:
        entry = self.store.get(uid)
        if entry is not None:
            self.version += 1
            self.store.wrote(entry, DONE if done else {}, str(self.version))  # type: ignore[arg-type]  # a part of one

    @rule(uid=uids)
    def remove(self, uid: str) -> None:
        self.store.remove(uid)

    @rule(key=st.sampled_from(CONNECTIONS))
    def connect_or_disconnect(self, key: ObjectKey) -> None:
        self.present ^= {key}

    @invariant()
    def what_is_found_is_what_a_look_at_all_would_find(self) -> None:
        for key in CONNECTIONS:
            found = {entry.uid for entry in self.store.meant.of(key, self.key_of)}
            assert found == {entry.uid for entry in self.store if self.means(entry, key)}

    def means(self, entry: Entry, key: ObjectKey) -> bool:
        if entry.seen.finished or entry.seen.spec is None or entry.seen.spec.suspend:
            return False
        return self.key_of(entry.namespace, entry.seen.spec) == key


Jobs.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
TestWhichEvsJobsMeanAConnection = Jobs.TestCase


def test_ten_thousand_jobs_of_others_are_not_looked_at() -> None:
    store, world = Store(lambda: 0.0), ConnectionsWorld()
    for number in range(10_000):
        namespace = "one" if number else "two"
        metadata = {"uid": str(number), "namespace": namespace, "name": "x", "resourceVersion": "1", "generation": 1}
        store.apply("ADDED", {"metadata": metadata, "spec": {"jobId": "0" * 32}})
    asked = []

    def key_of(namespace: str, spec: EvsJobSpec) -> ObjectKey:
        asked.append(namespace)
        return world.registry.key_of(namespace, spec)

    found = list(store.meant.of(ObjectKey("EvsConnection", "two", "default"), key_of))
    assert [entry.uid for entry in found] == ["0"]
    assert asked == ["two"]
