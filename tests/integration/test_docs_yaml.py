"""Every YAML block of the documentation is one that the real API server takes.

A block without a marker is applied as it is (server-side dry run, unknown fields are errors). ```` ```yaml values ````
holds values of the chart and is checked against its schema. ```` ```yaml fragment: REASON ```` cannot be applied, and
its reason says why; such blocks are tests of their own below, so that a list of the tests shows all of them. Kinds of
Argo CD and Flux are served from `foreign_crds.yaml`, which declares the fields that our pages use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from controlplane import ControlPlane
from support.operator_process import ROOT

_FOREIGN = Path(__file__).parent / "foreign_crds.yaml"
_FENCE = re.compile(r"^```ya?ml(?P<marker>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A YAML block: where it is, its marker and its text."""

    place: str
    marker: str
    text: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents it holds."""
        return [document for document in yaml.safe_load_all(self.text) if document]


def _pages() -> list[Path]:
    tops = (ROOT / "README.md", ROOT / "argocd" / "README.md", *ROOT.glob("examples/**/README.md"))
    return [*tops, *sorted(ROOT.glob("docs/**/*.md"))]


def _blocks() -> Iterator[Block]:
    for page in _pages():
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(f"{page.relative_to(ROOT)}:{line}", found["marker"].strip(), found["text"])


_BLOCKS = list(_blocks())
_APPLIED = [block for block in _BLOCKS if not block.marker]
_VALUES = [block for block in _BLOCKS if block.marker == "values"]
_FRAGMENTS = [block for block in _BLOCKS if block not in _APPLIED and block not in _VALUES]


@pytest.fixture(scope="module")
def server(crds: ControlPlane) -> ControlPlane:
    """Give an API server with our kinds, those of Argo CD and Flux, and every namespace that a block names."""
    crds.kubectl("apply", "--server-side", "-f", str(_FOREIGN))
    crds.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(_FOREIGN))
    named = {document.get("metadata", {}).get("namespace") for block in _APPLIED for document in block.documents}
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in named if name]
    crds.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": spaces}))
    return crds


@pytest.mark.parametrize("block", _APPLIED, ids=lambda block: block.place)
def test_a_block_is_applied_to_the_real_api_server(server: ControlPlane, namespace: str, block: Block) -> None:
    assert block.documents
    for document in block.documents:
        named = "name" in document["metadata"]  # generateName is for create alone
        verb = ["apply", "--server-side", "--force-conflicts"] if named else ["create"]
        place = [] if document["metadata"].get("namespace") else ["-n", namespace]
        arguments = (*verb, "--dry-run=server", "--validate=strict", *place, "-f", "-")
        done = server.kubectl(*arguments, input=json.dumps(document), check=False)
        assert done.returncode == 0, f"{block.place}: {done.stderr}"


@pytest.mark.parametrize("block", _VALUES, ids=lambda block: block.place)
def test_values_of_the_chart_fit_its_schema(block: Block) -> None:
    schema = json.loads((ROOT / "charts" / "evs-operator" / "values.schema.json").read_text(encoding="utf-8"))
    (values,) = block.documents
    problems = [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(values)]
    assert not problems, f"{block.place}: {problems}"


@pytest.mark.parametrize("block", _FRAGMENTS, ids=lambda block: f"{block.place} {block.marker}")
def test_a_block_that_is_not_applied_says_why_and_is_yaml(block: Block) -> None:
    assert re.fullmatch(r"fragment: \S.*", block.marker), f"{block.place}: write ```yaml fragment: REASON"
    assert block.documents


def test_pages_hold_blocks_that_are_applied() -> None:
    assert {"README.md", "docs/gitops.md"} <= {block.place.rpartition(":")[0] for block in _APPLIED}


def test_a_field_with_a_spelling_mistake_is_refused(server: ControlPlane, namespace: str) -> None:
    """Holds for our kinds, for those of Kubernetes and for those that foreign_crds.yaml stands for."""
    for block in _APPLIED:
        for document in block.documents:
            if document["kind"] in ("EvsJob", "Job", "Application") and "name" in document["metadata"]:
                wrong = {**document, "metadata": {"name": "wrong"}, "spec": {**document["spec"], "suspendd": True}}
                arguments = (
                    "apply",
                    "--server-side",
                    "--dry-run=server",
                    "--validate=strict",
                    "-n",
                    namespace,
                    "-f",
                    "-",
                )
                done = server.kubectl(*arguments, input=json.dumps(wrong), check=False)
                assert "suspendd" in done.stderr, document["kind"]
