"""What an operator with a receiver of traces sends: one tree for each look, and no secret."""

from __future__ import annotations

import json

from support.operator_process import eventually
from support.scripted_cloud import TOKEN
from support.watched_operators import WatchedWorld


def test_a_look_that_changed_something_is_a_tree_from_poll_to_write(world: WatchedWorld) -> None:
    log = [json.loads(line) for line in world.operators["healthy"].process.log.splitlines()]
    line = next(line for line in log if line.get("state") == "running")
    trace = bytes.fromhex(line["trace_id"])

    def tree() -> list[tuple[str, bytes]]:
        spans = [span for span in world.traces.spans() if span.trace_id == trace]
        return [(span.name, span.parent_span_id) for span in sorted(spans, key=lambda span: span.start_time_unix_nano)]

    root = bytes.fromhex(line["span_id"])
    expected = [("evsjob", b""), ("poll", root), ("decide", root), ("write", root)]
    eventually(lambda: tree() == expected, 30, lambda: str(tree()))


def test_a_look_that_changed_nothing_has_no_write(world: WatchedWorld) -> None:
    def looks() -> list[set[str]]:
        names: dict[bytes, set[str]] = {}
        for span in world.traces.spans():
            names.setdefault(span.trace_id, set()).add(span.name)
        return list(names.values())

    eventually(lambda: {"evsjob", "poll", "decide"} in looks(), 30)


def test_no_secret_is_in_what_was_sent(world: WatchedWorld) -> None:
    assert world.traces.requests
    assert not [body for body in world.traces.requests if TOKEN.encode() in body]
