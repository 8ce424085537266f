"""Which EvsJobs mean which connection, of those that have calls to come.

Kept by the store with each change, so that news of a connection looks at its own EvsJobs and at no others. An EvsJob
that names no connection means the default of its namespace, or the cluster's: which of them changes with the
connections that there are, so that is looked up when it is asked for (`registry.key_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, DEFAULT_CONNECTION, EVS_CONNECTION
from evs_operator.api.spec import EvsJobSpec
from evs_operator.kube.objects import ObjectKey

if TYPE_CHECKING:
    from .entry import Entry

Place = ObjectKey | str
"""A connection that is named, or the namespace whose default is meant."""


class Meant:
    """EvsJobs by connection."""

    def __init__(self) -> None:
        self._by_place: dict[Place, dict[str, Entry]] = {}
        self._places: dict[str, Place] = {}

    def update(self, entry: Entry) -> None:
        """Take an EvsJob as it is now."""
        place, before = _place_of(entry), self._places.get(entry.uid)
        if place == before:
            return
        if before is not None:
            others = self._by_place[before]
            del others[entry.uid], self._places[entry.uid]
            if not others:
                del self._by_place[before]
        if place is not None:
            self._by_place.setdefault(place, {})[entry.uid] = entry
            self._places[entry.uid] = place

    def of(self, key: ObjectKey, key_of: Callable[[str, EvsJobSpec], ObjectKey]) -> Iterator[Entry]:
        """Yield the EvsJobs that mean a connection; `key_of` tells which default a namespace has now."""
        yield from list(self._by_place.get(key, {}).values())
        if key.name != DEFAULT_CONNECTION:
            return
        own = key.kind == EVS_CONNECTION
        for namespace in [key.namespace] if own else [place for place in self._by_place if isinstance(place, str)]:
            entries = list(self._by_place.get(namespace, {}).values())
            spec = entries[0].seen.spec if entries else None
            if spec is not None and key_of(namespace, spec) == key:
                yield from entries


def _place_of(entry: Entry) -> Place | None:
    """Return where an EvsJob that has calls to come is found, None for one that has none."""
    if entry.seen.deleted or entry.seen.finished or entry.seen.spec is None or entry.seen.spec.suspend:
        return None
    ref = entry.seen.spec.connection_ref
    if ref is None:
        return entry.namespace
    return ObjectKey(ref.kind, "" if ref.kind == CLUSTER_EVS_CONNECTION else entry.namespace, ref.name)
