"""What the code under test holds in memory, whatever the threads of other tests allocate meanwhile."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FRAMES = 6  # deep enough to find our own frame below a parser or a comprehension; each frame costs time
_OURS = (tracemalloc.Filter(True, "*/evs_operator/*", all_frames=True),)


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Give a function that says how many bytes, allocated from now on below a frame of ours, are still held."""

    def held() -> int:
        gc.collect()
        return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(_OURS).traces)

    tracemalloc.start(_FRAMES)
    try:
        yield held
    finally:
        tracemalloc.stop()
