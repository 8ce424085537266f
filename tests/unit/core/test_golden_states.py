"""The golden EvsJobs of tests/golden/states: what readers of the status rely on, and how a change of it is told."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from evs_operator.api.reasons import Reason
from evs_operator.api.status import CONDITION_TYPES
from support import crds
from support.states import ROWS, GoldenState, golden_states

_ROOT = Path(__file__).resolve().parents[3]
_DIRECTORY = _ROOT / "tests" / "golden" / "states"
_LEDGER = _ROOT / "tests" / "golden" / "CHANGES"
_STATES = list(golden_states())


@pytest.fixture(scope="module", autouse=True)
def _updated() -> None:
    """Write the files anew where GOLDEN_UPDATE is set; read them before they are committed."""
    if os.environ.get("GOLDEN_UPDATE"):
        _DIRECTORY.mkdir(parents=True, exist_ok=True)
        for path in _DIRECTORY.glob("*.json"):
            path.unlink()
        for state in _STATES:
            (_DIRECTORY / f"{state.name}.json").write_text(state.text, encoding="utf-8")


@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.name)
def test_decide_makes_the_golden_state(state: GoldenState) -> None:
    stored = (_DIRECTORY / f"{state.name}.json").read_text(encoding="utf-8")
    assert state.text == stored, "GOLDEN_UPDATE=1 writes it anew"


@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.name)
def test_a_golden_state_is_an_object_that_the_api_server_takes(state: GoldenState) -> None:
    crds.check(state.manifest)


def test_every_file_is_a_state_and_every_row_has_one() -> None:
    assert {path.stem for path in _DIRECTORY.iterdir()} == {state.name for state in _STATES}
    assert {state.row for state in _STATES} == set(ROWS)


def test_every_reason_and_every_condition_is_in_a_golden_state() -> None:
    conditions = [c for state in _STATES for c in state.manifest["status"].get("conditions", [])]
    assert set(Reason) <= {c["reason"] for c in conditions}
    assert set(CONDITION_TYPES) <= {c["type"] for c in conditions}


def test_a_change_of_a_golden_status_is_told_in_the_changelog() -> None:
    """Readers rely on the status: who changes one says so to them.

    tests/golden/CHANGES quotes lines of the changelog, and below each the states that it told of with the digest that
    they got. From the first release on it only grows: a state that changed comes again below a line that is not yet
    quoted; a state that is new may come below any. Before it there is nobody to tell, and the digests are exchanged.
    """
    sections = _ledger()
    told = {name: (digest, line) for line, states in sections.items() for name, digest in states.items()}
    untold = [f"  {s.name} {_digest(s)}" for s in _STATES if told.get(s.name, ("", ""))[0] != _digest(s)]
    assert not untold, "tell users in CHANGELOG.md, and add that line and these to CHANGES:\n" + "\n".join(untold)
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert {told[state.name][1] for state in _STATES} <= set(changelog)


def _digest(state: GoldenState) -> str:
    return hashlib.sha256(state.text.encode()).hexdigest()[:12]


def _ledger() -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {}
    states: dict[str, str] = {}
    for line in _LEDGER.read_text(encoding="utf-8").splitlines():
        if line.startswith("- "):
            assert line not in sections, f"quoted twice, so one of them told users nothing: {line}"
            states = sections[line] = {}
            continue
        name, digest = line.split()
        assert name not in states, f"{name} changed again below the same line of the changelog"
        states[name] = digest
    return sections
