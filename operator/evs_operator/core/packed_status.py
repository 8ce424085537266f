"""The bulky part of a status that is kept, as compressed bytes. Pure.

Called by `store`. As Python objects a status of 150 KB with a hundred sub-jobs of the longest texts takes 650 KiB, and
a tenant may have thousands of such EvsJobs. Its lists are looked at only when the status is decided anew, so they are
packed if they are large; those of ordinary batches stay as they are, since packing costs a millisecond.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Final, cast

from evs_operator.api.status import EvsJobStatus

_FIELDS: Final = ("subJobs", "volumeIds", "entities", "failure")
_LARGE: Final = 48 * 1024
"""Characters of the texts, with what the objects around them take; a batch of a hundred volumes has two thirds."""
_PAIR: Final = 64
"""Characters that an entity counts beside its texts."""


def packed(status: EvsJobStatus) -> tuple[EvsJobStatus, bytes]:
    """Return what is kept of a status as it is, and the rest packed: b"" if it is not large."""
    if "subJobs" not in status or _weight(status) <= _LARGE:
        return status, b""
    bulk = {field: status[field] for field in _FIELDS if field in status}
    rest = {field: value for field, value in status.items() if field not in bulk}
    return cast(EvsJobStatus, rest), zlib.compress(json.dumps(bulk).encode(), 1)


def unpacked(status: EvsJobStatus, bulk: bytes) -> EvsJobStatus:
    """Return the whole status."""
    if not bulk:
        return status
    return cast(EvsJobStatus, {**status, **json.loads(zlib.decompress(bulk))})


def _weight(status: EvsJobStatus) -> int:
    weight = 0
    for sub in status["subJobs"]:
        entities: Mapping[str, str] = sub.get("entities") or {}
        weight += len(sub.get("failReason", "")) + _PAIR * len(entities)
        weight += sum(map(len, entities)) + sum(map(len, entities.values()))
        if weight > _LARGE:
            break
    return weight
