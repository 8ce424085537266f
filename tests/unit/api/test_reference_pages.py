"""docs/reference/evsjob.md and evsconnection.md: every field, condition and reason of the code, and no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evs_operator.api.reasons import ConnectionReason, Reason
from evs_operator.api.status import CONDITION_TYPES
from evs_operator.core import transitions
from evs_operator.core.connection_status import connection_status
from evs_operator.evs.error_codes import table
from support import crds

_DOCS = Path(__file__).resolve().parents[3] / "docs"
_JOB = _DOCS / "reference" / "evsjob.md"
_CONNECTION = _DOCS / "reference" / "evsconnection.md"
_PAGES = {"EvsJob": _JOB, "EvsConnection": _CONNECTION, "ClusterEvsConnection": _CONNECTION}


def sections(page: Path, level: int) -> dict[str, str]:
    """Return the sections of a level by title, each with the title of the section above it: `Reasons/JobFailed`."""
    found: dict[str, str] = {}
    trail: list[str] = []
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and (match := re.match(r"(#+) (.*)", line)):
            depth = len(match[1])
            trail = [*trail[: depth - 1], *[""] * (depth - 1 - len(trail)), match[2].strip("`")]
        if len(trail) >= level:
            key = "/".join(trail[1:level])
            found[key] = found.get(key, "") + line + "\n"
    return found


def below(page: Path, level: int, title: str) -> dict[str, str]:
    return {key.rsplit("/", 1)[-1]: text for key, text in sections(page, level).items() if key.split("/")[0] == title}


def documented_fields(page: Path) -> set[str]:
    """Return the fields that have a section of their own, or a row in the table of their parent's."""
    fields = {name for title in ("Spec", "Status") for name in below(page, 3, title)}
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `."):
            fields |= set(re.findall(r"`(\.[\w.\[\]]+)`", line))
    return fields


def declared_fields(kind: str) -> set[str]:
    """Return the fields of a kind, without what Kubernetes declares and what a field of one item only wraps."""
    paths = {path for path, _ in crds.fields(crds.schema(kind)) if path.startswith((".spec.", ".status."))}
    paths = {path for path in paths if not path.startswith(".status.conditions[]") and not path.endswith(("[]", "{}"))}
    return {path for path in paths if not path.endswith("Ref") or path.count(".") == 2}


@pytest.mark.parametrize("page", [_JOB, _CONNECTION], ids=lambda page: page.stem)
def test_every_field_is_documented_and_no_other(page: Path) -> None:
    declared = {path for kind, own in _PAGES.items() if own == page for path in declared_fields(kind)}
    assert documented_fields(page) == declared


def test_every_condition_is_documented_and_no_other() -> None:
    assert list(below(_JOB, 3, "Conditions")) == list(CONDITION_TYPES)
    assert list(below(_CONNECTION, 3, "Conditions")) == ["Ready", "Reconciling", "Stalled"]


def test_every_reason_is_documented_and_no_other() -> None:
    assert set(below(_JOB, 4, "Reasons")) == set(Reason)
    assert set(below(_CONNECTION, 4, "Reasons")) == set(ConnectionReason)


@pytest.mark.parametrize("page", [_JOB, _CONNECTION], ids=lambda page: page.stem)
def test_every_reason_says_what_it_means_what_the_operator_does_and_what_you_do(page: Path) -> None:
    for reason, text in below(page, 4, "Reasons").items():
        assert re.findall(r"^- ([\w ]+):", text, re.MULTILINE) == ["Means", "The operator", "You"], reason


def conditions_for(reason: ConnectionReason) -> set[str]:
    now = datetime(2026, 2, 3, tzinfo=UTC)
    return {c["type"] for c in connection_status(reason, "", generation=1, previous=[], now=now)["conditions"]}


def group(page: Path, title: str) -> set[str]:
    return {key.rsplit("/", 1)[-1] for key in sections(page, 4) if key.startswith(f"Reasons/{title}/")}


def test_the_reasons_that_pass_are_those_that_the_code_takes_as_passing() -> None:
    assert group(_JOB, "Cannot be seen for a reason that passes") == {reason for reason in Reason if reason.passing}
    passing = {reason for reason in ConnectionReason if "Reconciling" in conditions_for(reason)}
    assert group(_CONNECTION, "Passes by itself") == passing


def test_every_event_is_documented() -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \|", _JOB.read_text() + _CONNECTION.read_text(), re.MULTILINE)
    told = {transitions.Transition(action, "", "") for action in transitions.Action}
    assert set(rows) == {(transition.type, str(transition.action)) for transition in told}


def test_the_categories_and_the_number_of_codes_are_those_of_the_table() -> None:
    text = sections(_JOB, 3)["Status/.status.failure"]
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \| .* \|(.*)\|$", text, re.MULTILINE))
    assert set(rows) == {row.category for row in table()} | {"Unknown"}
    by_code = {row.code: row.category for row in table()}
    for category, examples in rows.items():
        for code in re.findall(r"`([\w.]+)`", examples):
            assert by_code[code] == category
    assert f"[{len(table())} codes]" in text
