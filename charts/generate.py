"""Writes what follows from elsewhere in the repository into the chart and into `deploy/`; `make chart` calls it.

From crds/ come the chart's copies and the schema of `connections`, from `__version__` the chart's version, from the
rules the names of alerts in the schema, from the comments of values.yaml the table of its README, and from the chart
itself, rendered by the real helm, the manifests of `deploy/`. With --check nothing is written: the names of stale files
go to stderr, and the exit code is 1.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from controlplane import tool

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "evs-operator"
NAMESPACE = "evs-operator"

_KEPT = [
    "type",
    "required",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "pattern",
]
_ONLY_HELM = re.compile(r"^ *(# Source: .*|helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm)\n", re.MULTILINE)
_RBAC = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
_DEPLOYED = {"crds.yaml": {"CustomResourceDefinition"}, "rbac.yaml": _RBAC, "operator.yaml": {"Deployment", "Service"}}
_REPLICATED = {
    "deployment.yaml": {"Deployment"},
    "leader-election.yaml": {"Role", "RoleBinding", "PodDisruptionBudget"},
}
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write the files, or say which are stale."""
    stale = []
    for files in (_inside_chart, _deployed):  # the second renders what the first wrote
        for path, content in files():
            if path.exists() and path.read_text() == content:
                continue
            stale.append(path.relative_to(ROOT))
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
    for path in stale:
        print(f"{path}: {'stale, run make chart' if '--check' in arguments else 'written'}", file=sys.stderr)
    return 1 if stale and "--check" in arguments else 0


def _inside_chart() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        yield CHART / "files" / "crds" / path.name, path.read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["definitions"]["connection"] = _connection_schema()
    monitoring = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]
    monitoring["alerts"]["propertyNames"]["enum"] = _alert_names()
    yield CHART / "values.schema.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    source = (ROOT / "operator" / "evs_operator" / "__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"', source, re.MULTILINE)
    chart = (CHART / "Chart.yaml").read_text()
    yield CHART / "Chart.yaml", re.sub(r"(?m)^((?:appV|v)ersion): .*", rf"\1: {version}", chart)
    readme = (CHART / "README.md").read_text()
    yield CHART / "README.md", _TABLE.sub(lambda _: _table((CHART / "values.yaml").read_text()), readme)


def _alert_names() -> list[str]:
    groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


def _connection_schema() -> dict[str, Any]:
    """Return the schema of a ClusterEvsConnection's spec; its CEL rules are left to the API server."""
    crd = yaml.safe_load((ROOT / "crds" / "evs-operator.dev_clusterevsconnections.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return {"description": "spec of a ClusterEvsConnection.", **_closed(spec)}


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    closed = {key: node[key] for key in _KEPT if key in node}
    if "items" in node:
        closed["items"] = _closed(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        closed["additionalProperties"] = _closed(node["additionalProperties"])
    elif "properties" in node:
        closed["additionalProperties"] = False
        closed["properties"] = {name: _closed(child) for name, child in node["properties"].items()}
    return closed


def _table(values: str) -> str:
    """Return the Markdown table of all values: a row for each key with a comment of its own."""
    lines = values.splitlines()
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, comment in _rows(yaml.compose(values), lines, ""):
        rows.append(
            f"| `{path}` | `{json.dumps(default, ensure_ascii=False)}` | {comment.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(rows) + "\n"


def _rows(node: yaml.Node, lines: list[str], prefix: str) -> Iterator[tuple[str, Any, str]]:
    for key, child in node.value:
        path = f"{prefix}{key.value}"
        comment = _comment_above(key.start_mark.line, key.start_mark.column, lines)
        below = list(_rows(child, lines, f"{path}.")) if isinstance(child, yaml.MappingNode) and not comment else []
        if below:
            yield from below
        elif comment:
            yield path, yaml.safe_load(yaml.serialize(child)), comment
        else:
            raise SystemExit(f"values.yaml: {path} has no comment that says what it is")


def _comment_above(line: int, column: int, lines: list[str]) -> str:
    found: list[str] = []
    while line and lines[line - 1].startswith(" " * column + "# "):
        line -= 1
        found.insert(0, lines[line][column + 2 :])
    return " ".join(found)


def _deployed() -> Iterator[tuple[Path, str]]:
    once = _documents("--set=crds.keep=false")
    if left := {kind for kind, _ in once}.difference(*_DEPLOYED.values()):
        raise SystemExit(f"no file of deploy/ takes {', '.join(sorted(left))}")
    for name, kinds in _DEPLOYED.items():
        yield ROOT / "deploy" / name, _file(once, kinds)
    twice = _documents("--set=crds.enabled=false", "--set=replicaCount=2", "--set=podDisruptionBudget.enabled=true")
    for name, kinds in _REPLICATED.items():
        yield ROOT / "deploy" / "high-availability" / name, _file(twice, kinds)


def _documents(*arguments: str) -> list[tuple[str, str]]:
    """Return kind and text of each object that the chart renders, without what is Helm's own."""
    rendered = _ONLY_HELM.sub("", render("--skip-tests", *arguments))
    documents = [document.strip() + "\n" for document in re.split(r"(?m)^---\n", rendered) if document.strip()]
    return [(yaml.safe_load(document)["kind"], document) for document in documents]


def _file(documents: list[tuple[str, str]], kinds: set[str]) -> str:
    chosen = [document for kind, document in documents if kind in kinds]
    return "# Rendered from charts/evs-operator by `make chart`.\n" + "---\n".join(chosen)


def render(*arguments: str) -> str:
    """Return what `helm template` makes of the chart."""
    helm = tool("helm", lambda line: print(line, file=sys.stderr))
    command = [str(helm), "template", "evs-operator", str(CHART), "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"helm template: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
