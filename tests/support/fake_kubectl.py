"""A kubectl without a cluster, for tests of the plugin: EvsJobs are files in FAKE_KUBECTL, `NAME.json` each.

It answers what the plugin asks kubectl, in kubectl's words and forms, and nothing else. A watch follows the files. What
a file `complaint` holds is said instead of any answer, with exit code 1. Every command is noted in `calls`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_HERE = Path(os.environ["FAKE_KUBECTL"])
_FLAGS = ("--namespace", "--context", "--kubeconfig", "-o", "--selector", "--field-selector", "--patch", "-f")


def main(words: list[str]) -> int:
    """Run one command; return its exit code."""
    with (_HERE / "calls").open("a") as calls:
        calls.write(" ".join(words) + "\n")
    if (complaint := _HERE / "complaint").exists():
        print(complaint.read_text(), file=sys.stderr)
        return 1
    plain, skip = [], False
    for word in words:
        if not skip and not word.startswith("-"):
            plain.append(word)
        skip = word in _FLAGS
    match plain:
        case ["config", "view"]:
            print("team-a", end="")
        case ["get", "namespace", _]:
            print("namespace/team-a")
        case ["get", "events"]:
            print(json.dumps({"kind": "EventList", "items": []}))
        case ["get", kind, *_] if "connection" in kind:
            print(f'Error from server (NotFound): {kind} "default" not found', file=sys.stderr)
            return 1
        case ["get", _, *names] if "--watch" in words:
            _watch(names)
        case ["get", _, *names]:
            _print(_read(names))
        case ["create"]:
            return _create()
        case _:
            print(f"error: the fake kubectl does not know {words}", file=sys.stderr)
            return 1
    return 0


def _read(names: list[str]) -> dict[str, dict[str, Any]]:
    objects = {}
    for path in sorted(_HERE.glob("*.json")):
        if not names or path.stem in names:
            objects[path.stem] = json.loads(path.read_text())
    return objects


def _print(objects: dict[str, dict[str, Any]]) -> None:
    if len(objects) == 1:
        print(json.dumps(next(iter(objects.values())), indent=4))
    elif objects:
        print(json.dumps({"kind": "List", "apiVersion": "v1", "items": list(objects.values())}, indent=4))


def _watch(names: list[str]) -> None:
    before: dict[str, dict[str, Any]] = {}
    while os.getppid() != 1:
        now = _read(names)
        for name, obj in now.items():
            if obj != before.get(name):
                _event("MODIFIED" if name in before else "ADDED", obj)
        for name, obj in before.items():
            if name not in now:
                _event("DELETED", obj)
        before = now
        time.sleep(0.05)


def _event(kind: str, obj: dict[str, Any]) -> None:
    print(json.dumps({"type": kind, "object": obj}, indent=4), flush=True)


def _create() -> int:
    obj = json.load(sys.stdin)
    path = _HERE / f"{obj['metadata']['name']}.json"
    if path.exists():
        print(f'Error from server (AlreadyExists): evsjobs "{path.stem}" already exists', file=sys.stderr)
        return 1
    obj["metadata"] |= {"namespace": "team-a", "uid": f"{path.stem}-1", "generation": 1}
    path.write_text(json.dumps(obj))
    print(json.dumps(obj))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
