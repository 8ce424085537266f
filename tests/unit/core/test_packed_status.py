"""A large status is kept packed: nothing of it is lost, and thousands of them fit."""

from __future__ import annotations

import random
import string
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.api.status import EvsJobStatus
from evs_operator.core.packed_status import packed, unpacked
from evs_operator.jobs.store import Store, shrink
from support.memory import traced
from support.states import golden_states

TEXT = st.text(max_size=300)
SUB = st.fixed_dictionaries(
    {"jobId": TEXT},
    optional={"failReason": TEXT, "entities": st.dictionaries(TEXT, TEXT, max_size=6), "status": TEXT},
)


def large(number: int, **more: Any) -> EvsJobStatus:
    """Return the status of a job with a hundred sub-jobs that failed for long reasons, each another text."""
    draw = random.Random(number)
    subs = [
        {
            "jobId": f"{number}-{sub}",
            "failReason": "".join(draw.choices(string.printable, k=1024)),
            "entities": {"name": "n" * 256},
        }
        for sub in range(100)
    ]
    status = {"jobId": "job-id-1", "jobStatus": "RUNNING", "subJobs": subs, "volumeIds": ["v" * 36], "conditions": []}
    return cast(EvsJobStatus, {**status, **more})


@given(st.lists(SUB, max_size=60), st.booleans())
def test_a_status_is_the_same_after_it_was_packed(subs: list[dict[str, Any]], volumes: bool) -> None:
    status = {"jobId": "x", "subJobs": subs, "conditions": [], **({"volumeIds": ["a"]} if volumes else {})}
    assert unpacked(*packed(cast(EvsJobStatus, status))) == status


def test_a_status_of_the_table_and_of_an_ordinary_batch_is_kept_as_it_is() -> None:
    volume = {"volume_id": "0" * 36, "name": "data-0001", "size": "100", "volume_type": "SSD"}
    batch = {"subJobs": [{"jobId": f"{number:032x}", "entities": volume} for number in range(100)]}
    for status in [*(dict(golden.manifest["status"]) for golden in golden_states()), batch]:
        kept, bulk = packed(cast(EvsJobStatus, status))
        assert kept is status
        assert not bulk


@pytest.mark.parametrize("finished", [False, True])
def test_a_store_gives_back_whole_what_it_packed(finished: bool) -> None:
    store = Store(lambda: 0.0)
    metadata = {"uid": "u", "namespace": "ns", "name": "job", "resourceVersion": "1", "generation": 1}
    more = {"completionTime": "2026-02-03T09:15:02Z"} if finished else {}
    entry, _ = store.apply(None, {"metadata": metadata, "spec": {"jobId": "job-id-1"}, "status": large(1, **more)})
    assert entry is not None
    assert entry.seen.whole_status == large(1, **more)
    assert bool(entry.seen.bulk) is not finished
    store.wrote(entry, large(2, **more), "2")
    assert entry.seen.whole_status == large(2, **more)
    shrink(entry)
    assert (entry.seen.whole_status == {}) is finished


def test_a_thousand_large_statuses_fit_into_160_mib() -> None:
    store = Store(lambda: 0.0)
    statuses = [large(number) for number in range(30)]
    with traced() as held:
        for number, status in enumerate(statuses):
            metadata = {"uid": f"u{number}", "namespace": "ns", "name": "j", "resourceVersion": "1", "generation": 1}
            store.apply(None, {"metadata": metadata, "spec": {"jobId": "job-id-1"}, "status": status})
        del statuses, status
        assert held() < 30 * 160 * 1024
