"""What a person sees: frames in a terminal, compared line by line."""

from __future__ import annotations

import io
import os
import re
import signal
from typing import Any

import pytest

from kubectl_evsjob.screen import Screen
from support.plugin import FakeCluster

_FAILED = "job-running-batch-with-a-failed-sub-job"
_OVER = "EVS.5413 overLimit: VolumeSizeExceedsAvailableQuota"


def _sub(number: int, status: str, **fields: str) -> dict[str, Any]:
    ends = {"endTime": "2026-02-03T09:15:08.218Z"} if status != "RUNNING" else {}
    begin = {"beginTime": "2026-02-03T09:15:00.118Z", "jobType": "createVolume", "jobId": f"ff80{number:028d}"}
    return {**begin, **ends, "status": status, **fields}


def _over(number: int) -> dict[str, Any]:
    return _sub(number, "FAIL", errorCode="EVS.5413", failReason="overLimit: VolumeSizeExceedsAvailableQuota")


def _made(number: int) -> dict[str, Any]:
    return _sub(number, "SUCCESS", volumeId=f"22cd0dc4-0000-4000-8000-{number:012d}")


def _counts(total: int, succeeded: int, failed: int, omitted: int = 0) -> dict[str, int]:
    running = total - succeeded - failed
    return {"total": total, "succeeded": succeeded, "failed": failed, "inProgress": running, "omitted": omitted}


def _half_failed(cluster: FakeCluster, name: str) -> None:
    subs = [_over(3), _made(1), _made(2)]
    cluster.put(name, "job-failed-batch", subJobs=subs, subJobCounts=_counts(3, 2, 1), progress="3/3")


def test_a_batch_is_made_waited_for_and_shown_as_a_tree_with_what_failed_first(cluster: FakeCluster) -> None:
    read, write = os.pipe()
    os.write(write, b'{"job_id": "FF80808292AB11F50193D0C1A5E40B17"}')
    os.close(write)
    name = "ff80808292ab11f50193d0c1a5e40b17"
    with cluster.terminal("create", "-f", "-", "--wait", size=(120, 24), stdin=read) as terminal:
        os.close(read)
        assert terminal.shows("Pending")[0] == f"evsjob.evs-operator.dev/{name} created"
        assert terminal.screen.cursor.hidden
        running = [_sub(1, "RUNNING"), _sub(2, "RUNNING"), _sub(3, "RUNNING")]
        cluster.put(name, "job-running-batch", subJobs=running, progress="0/3")
        lines = terminal.shows("0/3")
        assert [re.split(r"\s{3,}", line)[0] for line in lines[1:]] == [
            f"● {name}",
            "├─ ● ff80…0001",
            "├─ ● ff80…0002",
            "└─ ● ff80…0003",
        ]
        _half_failed(cluster, name)
        assert terminal.ended() == 1
        assert terminal.lines == [
            f"evsjob.evs-operator.dev/{name} created",
            f"✖ {name}   Failed    3/3   31.1s   1 of 3 sub-jobs failed",
            f"├─ ✖ ff80…0003                       FAIL            8.1s    {_OVER}",
            "├─ ✔ ff80…0001                       SUCCESS         8.1s    volume 22cd0dc4-0000-4000-8000-000000000001",
            "└─ ✔ ff80…0002                       SUCCESS         8.1s    volume 22cd0dc4-0000-4000-8000-000000000002",
            f"failed: {name}; to see why: kubectl evsjob explain {name}",
        ]
        assert not terminal.screen.cursor.hidden


def test_a_batch_of_two_hundred_stays_within_the_terminal_and_shows_what_failed(cluster: FakeCluster) -> None:
    subs = [_over(1), *(_sub(number, "RUNNING") for number in range(2, 50)), *map(_made, range(50, 101))]
    counts = _counts(200, 100, 1, 100)
    cluster.put("big", _FAILED, subJobs=subs, subJobCounts=counts, progress="101/200")
    with cluster.terminal("wait", "big", size=(100, 24)) as terminal:
        lines = terminal.shows("101/200")
        assert len(lines) == 23
        assert "✖ ff80…0001" in lines[1]
        assert lines[-1] == "└─ … 179 more: 28 RUNNING, 51 SUCCESS, 100 not in the status"
        for finished in range(102, 106):
            cluster.put("big", _FAILED, subJobs=subs, subJobCounts=counts, progress=f"{finished}/200")
            assert len(terminal.shows(f"{finished}/200")) == 23
        assert terminal.raw.count(b"\x1b[23A") >= 4  # drawn over itself, not below


def test_a_terminal_of_forty_columns_keeps_one_line_for_each_and_the_name_state_and_reason(
    cluster: FakeCluster,
) -> None:
    _half_failed(cluster, "batch")
    with cluster.terminal("wait", "batch", size=(40, 24)) as terminal:
        assert terminal.ended() == 1
        assert terminal.lines[:4] == [
            "✖ batch          Failed    1 of 3 sub-j…",
            "├─ ✖ ff80…0003   FAIL      EVS.5413 ove…",
            "├─ ✔ ff80…0001   SUCCESS   volume 22cd0…",
            "└─ ✔ ff80…0002   SUCCESS   volume 22cd0…",
        ]


@pytest.mark.parametrize("xterm", [True, False])
def test_a_terminal_that_becomes_narrower_or_wider_gets_a_frame_of_its_width(cluster: FakeCluster, xterm: bool) -> None:
    more = {"XTERM_VERSION": "XTerm(390)"} if xterm else {}
    cluster.put("batch", "job-running-batch")
    with cluster.terminal("wait", "batch", size=(100, 24), **more) as terminal:
        terminal.shows("1/3.*batchCreateVolume")
        terminal.resize(40, 24)
        narrow = terminal.until(lambda lines: lines[0].endswith("…") and len(lines) == 4)
        assert all(0 < len(line) <= 40 for line in narrow)
        assert [line.split()[1] for line in narrow] == ["batch", "●", "○", "✔"]
        terminal.resize(120, 24)
        wide = terminal.shows("1/3.*batchCreateVolume.*1 of 3 sub-jobs finished")
        assert len(wide) == 4


def test_where_the_locale_is_not_utf_8_all_is_ascii(cluster: FakeCluster) -> None:
    _half_failed(cluster, "batch")
    for locale in ({"LANG": ""}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}):
        done = cluster.run("wait", "batch", **locale)
        assert (done.stdout + done.stderr).isascii()
        assert done.stdout.splitlines()[1] == f"|- x ff80..0003   FAIL            createVolume        8.1s    {_OVER}"
        with cluster.terminal("wait", "batch", **locale) as terminal:
            terminal.ended()
            assert terminal.raw.isascii()


@pytest.mark.parametrize(
    ("flags", "more", "coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        ((), {"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_gets_colours_unless_somebody_minds(
    cluster: FakeCluster, flags: tuple[str, ...], more: dict[str, str], coloured: bool
) -> None:
    cluster.put("job", "job-failed")
    with cluster.terminal("wait", "job", *flags, **more) as terminal:
        assert terminal.ended() == 1
        assert (b"\x1b[31m" in terminal.raw) == coloured
        assert (b"\x1b[?25l" in terminal.raw) == (more.get("TERM") != "dumb")


def test_a_pipe_gets_no_escape_sequence_and_a_line_for_each_change(cluster: FakeCluster) -> None:
    _half_failed(cluster, "batch")
    done = cluster.run("wait", "batch", TERM="xterm-256color")
    assert "\x1b" not in done.stdout + done.stderr
    assert [re.sub(r"^\[.*?\] ", "", line) for line in done.stderr.splitlines()] == [
        "batch Failed 3/3 1 of 3 sub-jobs failed",
        f"batch sub-job ff80{3:028d} FAIL {_OVER}",
        "failed: batch; to see why: kubectl evsjob explain batch",
    ]
    assert (
        done.stdout.splitlines()[0]
        == "✖ batch          Failed    3/3   batchCreateVolume   31.1s   1 of 3 sub-jobs failed"
    )


def test_ctrl_c_gives_the_cursor_back_and_leaves_how_it_stood(cluster: FakeCluster) -> None:
    cluster.put("batch", "job-running-batch")
    with cluster.terminal("wait", "batch") as terminal:
        terminal.shows("1/3")
        terminal.press_ctrl_c()
        assert terminal.ended() == 130
        assert not terminal.screen.cursor.hidden
        assert terminal.lines[0].startswith("● batch ")
        assert terminal.lines[4] == "interrupted: nobody waits any more, the jobs go on"
        assert len(terminal.lines) == 5


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b[31mowned",
        "\x9b31mowned",
        "\x1b]0;title\x07owned",
        "a\r\nowned",
        "\u202edenwo",
        "\u2028owned",
        "\x00\x08\x7fowned",
    ],
)
def test_what_the_cloud_writes_cannot_steer_a_terminal(cluster: FakeCluster, text: str) -> None:
    sub = _sub(1, "FAIL", errorCode=text, failReason=text, jobType=text)
    failure = {"code": text, "message": text, "hint": text}
    cluster.put("job", "job-failed-batch", subJobs=[sub], jobType=text, failure=failure, progress=text, duration=text)
    forbidden = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2066-\u2069]")
    for command in (["get"], ["get", "-o", "wide"], ["wait", "job"], ["explain", "job"], ["timeline", "job"]):
        for form in ((), ("-o", "json"), ("-o", "yaml")):
            if "-o" in command and form:
                continue
            run = cluster.run if command[0] == "wait" else cluster.call  # a wait has threads of its own
            done = run(*command, *form, "--color", "never")
            assert "\x1b" not in done.stdout + done.stderr
            assert not forbidden.search(done.stdout + done.stderr)


def test_get_fits_its_table_to_the_terminal(cluster: FakeCluster) -> None:
    cluster.put("a-job-with-a-long-name", "unauthorized")
    cluster.put("short", "job-succeeded")
    with cluster.terminal("get", size=(60, 24)) as terminal:
        assert terminal.ended() == 0
        assert [len(line) <= 60 for line in terminal.lines] == [True] * 3
        assert terminal.lines[0].split()[:2] == ["NAME", "STATE"]
    assert "decrypt token fail. Put a valid credential into" in cluster.run("get").stdout


def test_get_watch_draws_its_table_over_itself(cluster: FakeCluster) -> None:
    cluster.put("one", "job-running")
    with cluster.terminal("get", "-w") as terminal:
        terminal.shows("one +InProgress")
        cluster.put("two", "pending")
        assert len(terminal.shows("two +Pending")) == 3
        cluster.delete("one")
        assert len(terminal.until(lambda lines: len(lines) == 2)) == 2
        terminal.press_ctrl_c()
        assert terminal.ended() == 130


def test_a_ctrl_c_while_a_frame_is_written_does_not_have_the_next_one_drawn_below() -> None:
    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if "first" in text:
                os.kill(os.getpid(), signal.SIGINT)
            return super().write(text)

    stream = Interrupted()
    screen = Screen(stream, {})
    with pytest.raises(KeyboardInterrupt):
        screen.draw(["first", "second"])
    screen.draw(["third"])
    assert stream.getvalue().endswith("\r\x1b[2A\x1b[2Kthird\n\x1b[J")
