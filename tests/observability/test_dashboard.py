"""The dashboard: complete, portable, and every query of it returns data from the Prometheus of these tests."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import pytest

from support.alert_rules import alerts
from support.dashboard import DASHBOARD, SOURCE, Panel, panels
from support.operator_process import ROOT, eventually
from support.watched_operators import WatchedWorld

UNITS = {"none", "s", "opm", "reqps", "wps", "percentunit", "bytes"}
"""Ids of units that Grafana knows."""
KINDS = {"stat", "timeseries", "bargauge", "table", "heatmap"}
QUERIES = [(panel, target) for panel in panels() for target in panel.targets]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.title)
def test_a_panel_says_what_it_shows_in_which_unit_and_from_which_source(panel: Panel) -> None:
    assert panel.kind in KINDS
    assert panel.title
    assert panel.description.endswith((".", ")"))
    assert panel.unit in UNITS
    assert panel.raw["datasource"] == SOURCE
    assert panel.targets
    assert [target["datasource"] for target in panel.targets] == [SOURCE] * len(panel.targets)
    assert len({target["refId"] for target in panel.targets}) == len(panel.targets)


def test_nothing_names_an_installation_of_its_author() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert dashboard.pop("uid") == "evs-operator"  # so that links to it stay when it is imported anew
    assert "id" not in dashboard
    sources = [part["uid"] for part in _objects(dashboard) if "uid" in part]
    assert set(sources) == {"${datasource}"}


def test_the_dashboard_and_its_panels_link_to_sections_of_the_runbooks_that_are_there() -> None:
    sections = {rule["annotations"]["runbook_url"] for rule in alerts()}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    (link,) = dashboard["links"]
    assert {url.partition("#")[0] for url in sections} == {link["url"]}
    of_panels = [link for panel in panels() for link in panel.raw.get("links", [])]
    assert len(of_panels) >= 10
    assert {link["url"] for link in of_panels} <= sections


def test_panels_lie_beside_each_other_within_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for part in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        at = part["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, part["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_panels_have_numbers_and_titles_of_their_own() -> None:
    every = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    for field in ("id", "title"):
        assert len({part[field] for part in every}) == len(every)


@pytest.mark.parametrize(
    ("panel", "target"), QUERIES, ids=[f"{panel.title} {target['refId']}" for panel, target in QUERIES]
)
def test_the_query_returns_data(world: WatchedWorld, panel: Panel, target: dict[str, Any]) -> None:
    query = panel.query(target, job=".*", interval="10s", span="10m")

    def has_data() -> bool:
        series = world.prometheus.query_range(query, seconds=300, step=2)
        return any(value != "NaN" for one in series for _, value in one["values"])

    eventually(has_data, 30, lambda: query)


def test_the_picture_in_the_docs_shows_every_panel() -> None:
    picture = (ROOT / "docs" / "images" / "dashboard.svg").read_text(encoding="utf-8")
    assert [panel.title for panel in panels() if f">{escape(panel.title)}</text>" not in picture] == []


def test_every_query_keeps_to_the_installation_that_is_chosen() -> None:
    for panel, target in QUERIES:
        metrics = target["expr"].count("evs_operator_") + target["expr"].count("process_")
        assert target["expr"].count('namespace=~"$namespace", job=~"$job"') == metrics, panel.title


def _objects(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for part in value.values() for found in _objects(part))]
    return [found for part in value for found in _objects(part)] if isinstance(value, list) else []
