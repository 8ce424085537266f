"""`kubectl` for a control plane without nodes: what a kubelet would answer comes from the operator that runs here.

    KUBECTL=… KUBECONFIG=… OPERATOR_LOG=… OPERATOR_KUBECONFIG=… python -m support.kubectl_without_kubelet ARGUMENTS

`logs` prints the log of that process, `exec` runs the command here with the operator's rights, `port-forward` and
`rollout status` end once they have looked at what they name. What they name must be there. What would take away what
other commands need (`delete`) is a dry run on the server. All else goes to the real kubectl as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_WITH_VALUE = {"-n", "--namespace", "--as"}
IN_IMAGE = "/usr/bin/python3"
"""Python in the operator's image (Dockerfile)."""


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    words = _positional(arguments)
    code = _without_kubelet(arguments, words)
    if code is None:
        dry = ["--dry-run=server"] if words[0] == "delete" else []
        os.execv(os.environ["KUBECTL"], ["kubectl", *arguments, *dry])  # the same process, so that it can be ended
    return code


def _without_kubelet(arguments: list[str], words: list[str]) -> int | None:
    """Answer what a kubelet or a controller would; None for all else."""
    if words[0] == "logs":
        _object(arguments, words[1])
        sys.stdout.write(Path(os.environ["OPERATOR_LOG"]).read_text(encoding="utf-8"))
        return 0
    if words[0] == "exec":
        _object(arguments, words[1])
        return _run_here(arguments[arguments.index("--") + 1 :])
    if words[0] == "port-forward":
        return _forward(_object(arguments, words[1]), int(words[2]))
    if words[:2] == ["rollout", "status"]:
        print("observed:", _object(arguments, words[2])["metadata"]["name"])
        return 0
    return None


def _positional(arguments: list[str]) -> list[str]:
    """Return what is neither a flag nor its value nor a command for a container."""
    words, skip = [], False
    for argument in arguments:
        if argument == "--":
            break
        if not skip and not argument.startswith("-"):
            words.append(argument)
        skip = argument in _WITH_VALUE
    return words


def _object(arguments: list[str], target: str) -> dict[str, Any]:
    """Return what is named, TYPE/NAME or the name of a pod; end where it is not there."""
    within = [argument for at, argument in enumerate(arguments) if "-n" in arguments[max(at - 1, 0) : at + 1]][:2]
    get = [*within, "get", target if "/" in target else f"pod/{target}", "-o", "json"]
    found = subprocess.run([os.environ["KUBECTL"], *get], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        sys.exit(found.returncode)
    return dict(json.loads(found.stdout))


def _run_here(command: list[str]) -> int:
    if command[0] == "evs-operator":  # on the PATH of the image
        command = [IN_IMAGE, "-m", "evs_operator", *command[1:]]
    if command[0] != IN_IMAGE:
        print(f"{command[0]} is not in the image", file=sys.stderr)
        return 127
    if command[1] == "-c":  # a call out of the cluster: it is only read
        compile(command[2], "command", "exec")
        print("readable")
        return 0
    environment = {**os.environ, "KUBECONFIG": os.environ["OPERATOR_KUBECONFIG"]}
    return subprocess.run([sys.executable, *command[1:]], env=environment, check=False).returncode


def _forward(pod: dict[str, Any], port: int) -> int:
    ports = [p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", ())]
    print(f"forwards {port}" if port in ports else f"no container listens on {port}")
    return 0 if port in ports else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
