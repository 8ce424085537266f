"""What the tools of the field make of an EvsJob, asked of their own code: kstatus, and Lua as Argo CD runs it.

The two Go programs of `controlplane/judges` run as long as a test session and answer a line of JSON with a line of
JSON. `Kstatus` is what Flux and Helm 4 wait with; `ArgoCD` runs the scripts of `argocd/resource_customizations`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .operator_process import ROOT

CUSTOMIZATIONS = ROOT / "argocd" / "resource_customizations"


@dataclass(frozen=True)
class Verdict:
    """What a tool shows of an object: its word for the state, and the text beside it."""

    status: str
    message: str = ""


class _Program:
    """A process that answers line by line; an `error` in the answer is the test's failure."""

    def __init__(self, command: Path) -> None:
        self._process = subprocess.Popen([str(command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the program has no pipes")
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return dict(answer)

    def __enter__(self) -> Self:
        """Return itself, running."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its input, upon which it ends."""
        self._process.communicate(timeout=10)


class Kstatus(_Program):
    """The library that Flux and Helm 4 wait with."""

    def judge(self, manifest: Mapping[str, Any]) -> Verdict:
        """Return its verdict on an object."""
        return Verdict(**self._ask(manifest))


class ArgoCD(_Program):
    """Argo CD's interpreter with the scripts of this repository.

    Scripts run with the few libraries that Argo CD gives to the scripts of its configuration; `built_in` gives them
    all of Lua's, as for the scripts that Argo CD ships.
    """

    def health(self, manifest: Mapping[str, Any], *, built_in: bool = False) -> Verdict:
        """Return the health that `health.lua` of the object's kind makes of it."""
        return Verdict(**self.run(_script(manifest, "health.lua"), manifest, built_in=built_in))

    def actions(self, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the actions offered for an object, by name."""
        found = self.run(_script(manifest, "actions/discovery.lua"), manifest)
        return {name: dict(action) for name, action in found.items()}

    def act(self, action: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return the object that an action makes of an object."""
        made = self.run(_script(manifest, f"actions/{action}/action.lua"), manifest)
        return dict(_cleaned(made, manifest))

    def run(self, script: str, manifest: Mapping[str, Any], *, built_in: bool = False) -> Any:
        """Return what a script returns for an object."""
        return self._ask({"script": script, "object": manifest, "openLibs": built_in})["result"]


def _script(manifest: Mapping[str, Any], name: str) -> str:
    group = str(manifest["apiVersion"]).partition("/")[0]
    return (CUSTOMIZATIONS / group / str(manifest["kind"]) / name).read_text(encoding="utf-8")


def _cleaned(made: Any, before: Any) -> Any:
    """Undo what Argo CD undoes: an empty object goes through Lua as a table and comes out as an empty list."""
    if isinstance(made, dict) and isinstance(before, Mapping):
        return {key: _cleaned(value, before.get(key)) for key, value in made.items()}
    if isinstance(made, list) and isinstance(before, list):
        return [_cleaned(*pair) for pair in zip(made, before, strict=True)]
    return {} if made == [] and isinstance(before, Mapping) else made
