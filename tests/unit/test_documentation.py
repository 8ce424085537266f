"""The documentation speaks of the program that is here."""

import re
import tomllib
from pathlib import Path

from evs_operator.settings import run_flags
from support.command_line import names
from support.headings import anchors_of

_ROOT = Path(__file__).parents[2]
_NOT_OURS = {".git", ".venv", ".demo", "dist", "node_modules"}
_FLAG = re.compile(r"--[a-z-]+")
_LINK = re.compile(r"\]\(([^)\s#]*)(#[^)\s]*)?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def test_every_flag_of_run_is_documented_and_every_documented_flag_exists() -> None:
    rows = [line for line in (_ROOT / "docs" / "configuration.md").read_text().splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in _FLAG.findall(row.split(" | ")[0])}
    assert documented == names(run_flags())


def test_every_link_to_a_file_of_the_project_leads_to_it_and_to_a_heading_that_is_there() -> None:
    pages = _pages()
    assert len(pages) > 20
    assert [broken for page in pages for broken in _broken_links(page)] == []


def _pages() -> list[Path]:
    return [path for path in _ROOT.rglob("*.md") if not _NOT_OURS & set(path.relative_to(_ROOT).parts)]


def _broken_links(page: Path) -> list[str]:
    broken = []
    for path, heading in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / path if path else page
        if "://" in path or path.startswith("mailto:"):
            continue
        known = heading and target.suffix == ".md" and target.is_file()
        if not target.exists() or (known and heading[1:] not in anchors_of(target)):
            broken.append(f"{page.relative_to(_ROOT)}: {path}{heading}")
    return broken


def test_every_path_of_the_project_that_a_page_names_in_code_is_there() -> None:
    pages = _pages()
    named = [(page, path) for page in pages for path in _paths_in_code(page.read_text(encoding="utf-8"))]
    assert len(named) > 50
    assert [f"{page.relative_to(_ROOT)}: {path}" for page, path in named if not _is_there(page, path)] == []


def test_a_path_is_found_in_spans_and_blocks_and_an_address_is_none() -> None:
    text = "`examples/rbac.yaml`, `kubectl apply -f deploy/rbac.yaml`, `oci://x/charts/a`\n"
    text += "```sh\ncat tests/*.py\n```\ndocs/no"
    assert _paths_in_code(text) == ["examples/rbac.yaml", "deploy/rbac.yaml", "tests/*.py"]
    assert not _is_there(_ROOT / "README.md", "examples/rbac.yaml")


def test_nobody_is_told_to_wait_for_the_word_of_the_cloud() -> None:
    """It is SUCCESS for a batch of which a part failed."""
    words = re.compile(r"--for=jsonpath='?\{\.status\.jobStatus\}")
    told = [path for top in ("docs", "examples", "argocd") for path in (_ROOT / top).rglob("*") if path.is_file()]
    assert [path for path in [_ROOT / "README.md", *told] if words.search(path.read_text(errors="replace"))] == []


def test_the_readme_is_read_in_three_minutes() -> None:
    """What needs more words has its page in docs/."""
    assert len((_ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def _paths_in_code(text: str) -> list[str]:
    tops = "|".join(re.escape(path.name) for path in _ROOT.iterdir() if path.is_dir() and path.name not in _NOT_OURS)
    # `deploy/evs-operator` is what kubectl calls the Deployment.
    path = re.compile(rf"(?<![\w/.:@$-])(?!deploy/evs-operator\b)(?:{tops})/[\w./*-]*")
    return [found.rstrip(".") for code in _CODE.findall(text) for found in path.findall(code)]


def _is_there(page: Path, path: str) -> bool:
    return any(path.strip("/") and any(place.glob(path.strip("/"))) for place in (_ROOT, page.parent))


def test_architecture_names_modules_and_rooms_that_are_there() -> None:
    page = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    operator = _ROOT / "operator" / "evs_operator"
    modules = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", page))
    assert len(modules) > 30
    assert sorted(module for module in modules if not (operator / module).is_file()) == []
    rooms = {path.parent.name for path in operator.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE)) == rooms


def test_architecture_draws_the_layers_that_the_linter_holds() -> None:
    page = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (house, *_) = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (drawn,) = re.findall(r"```\n( +cli\n.*?)```", page, re.DOTALL)
    layers = [set(re.findall(r"\w+", line)) for line in house["layers"] if line != "__main__"]
    assert [set(re.findall(r"\w+", line)) for line in drawn.splitlines()] == layers
