"""The dashboard as its tests and its picture read it: panels, and their queries with the variables filled in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from .operator_process import ROOT

DASHBOARD: Final = ROOT / "charts" / "evs-operator" / "files" / "dashboard.json"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One panel that shows data."""

    raw: dict[str, Any]

    @property
    def kind(self) -> str:
        """Grafana's name for its form, for example timeseries."""
        return str(self.raw["type"])

    @property
    def title(self) -> str:
        """What is written above it."""
        return str(self.raw.get("title", ""))

    @property
    def description(self) -> str:
        """What is shown behind its information mark."""
        return str(self.raw.get("description", ""))

    @property
    def unit(self) -> str:
        """Grafana's id of the unit."""
        return str(self.raw["fieldConfig"]["defaults"].get("unit", ""))

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Its queries."""
        return list(self.raw["targets"])

    @staticmethod
    def query(target: dict[str, Any], *, job: str, interval: str, span: str) -> str:
        """Fill in the variables as Grafana does; `job` and every namespace."""
        expression = str(target["expr"])
        filled = {"$namespace": ".*", "$job": job, "$__rate_interval": interval, "$__range": span}
        for name, value in filled.items():
            expression = expression.replace(name, value)
        return expression


def panels() -> list[Panel]:
    """Return the panels that show data, in their order."""
    every = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [Panel(raw) for raw in every if raw["type"] != "row"]
