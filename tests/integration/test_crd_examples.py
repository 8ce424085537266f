"""The manifests of `examples/`: users copy them, so the API server must take each of them as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evs_operator.api import names
from support import crds as files

if TYPE_CHECKING:
    from controlplane import ControlPlane

EXAMPLES = sorted((files.ROOT / "examples").glob("[0-9]*.yaml"))


def manifests(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def paths(value: object, path: str = "") -> set[str]:
    """Return the paths of all fields of an object, as `support.crds.fields` writes them."""
    found = {path}
    if isinstance(value, dict):
        for name, child in value.items():
            found |= paths(child, f"{path}.{name}")
    elif isinstance(value, list):
        for child in value:
            found |= paths(child, f"{path}[]")
    return found


def test_the_examples_are_numbered_without_a_gap_and_begin_with_what_they_show() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{number:02}" for number in range(1, len(EXAMPLES) + 1)]
    for path in EXAMPLES:
        assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_accepts_an_example_as_it_is(
    crds: ControlPlane, control_plane: ControlPlane, namespace: str, path: Path
) -> None:
    control_plane.kubectl("create", "namespace", "evs-operator", check=False)
    for manifest in manifests(path):
        if manifest["apiVersion"] == names.API_VERSION:
            files.check(manifest)
    here = [] if any("namespace" in m["metadata"] for m in manifests(path)) else ["-n", namespace]

    done = control_plane.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", *here, "-f", str(path)
    )

    assert done.stdout.count("(server dry run)") == len(manifests(path))
    assert not done.stderr


def test_the_examples_show_every_field_of_the_spec_of_an_evs_job() -> None:
    shown = set().union(*(paths(m) for path in EXAMPLES for m in manifests(path) if m["kind"] == "EvsJob"))

    assert {path for path, _ in files.fields(files.schema("EvsJob")) if path.startswith(".spec")} <= shown


def test_the_examples_show_every_field_of_the_spec_of_a_connection() -> None:
    kinds = ("EvsConnection", "ClusterEvsConnection")
    shown = set().union(*(paths(m) for path in EXAMPLES for m in manifests(path) if m["kind"] in kinds))
    told_in_a_comment = {".spec.tls.caBundle"}

    declared = {path for path, _ in files.fields(files.schema("ClusterEvsConnection")) if path.startswith(".spec")}
    assert {path for path in declared if not path.endswith("{}")} - shown == told_in_a_comment


def test_no_example_holds_a_credential() -> None:
    for path in EXAMPLES:
        for secret in (m for m in manifests(path) if m["kind"] == "Secret"):
            held = {key: value for key, value in secret["stringData"].items() if key != "domainName"}
            assert all(value.startswith("REPLACE-WITH-") for value in held.values())
