"""`python -m controlplane build|start|run -- COMMAND`: the control plane without pytest.

`make test` builds all programs first and `make demo` those of the control plane, so that a long build is seen for what
it is; a developer starts one to look at.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from controlplane import BinariesError, ControlPlane, GoMissingError, LaunchError, WorkspaceError
from controlplane.binaries import MODULES, module_directory


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 1 where the control plane cannot be had, 130 after Ctrl-C."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if unknown := set(getattr(parsed, "module", ())) - {module.name for module in MODULES}:
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _ended)
    try:
        if parsed.action == "build":
            for module in MODULES:
                if not parsed.module or module.name in parsed.module:
                    print(module_directory(module, _progress), flush=True)
            return 0
        with ControlPlane.start(directory=parsed.directory, audit=parsed.audit, progress=_progress) as plane:
            return _wait(plane) if parsed.action == "start" else _run(plane, parsed.command)
    except (BinariesError, GoMissingError, LaunchError, WorkspaceError) as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controlplane", description="A real kube-apiserver and etcd on this machine."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    build = actions.add_parser("build", help="find or build the programs and print their directories")
    names = [module.name for module in MODULES]
    build.add_argument("module", nargs="*", help=f"of {', '.join(names)} (default: all)")
    start = actions.add_parser("start", help="start one, print its KUBECONFIG, and stop it at Ctrl-C")
    run = actions.add_parser("run", help="start one, run a command with KUBECONFIG set, and stop it")
    for action in (start, run):
        action.add_argument("--directory", type=Path, help="keep its files here (default: a temporary directory)")
        action.add_argument("--audit", action="store_true", help="write audit.log")
    run.add_argument("command", nargs="+", help="after --: the command and its arguments")
    return parser


def _wait(plane: ControlPlane) -> int:
    print(f"export KUBECONFIG={plane.admin_kubeconfig}", flush=True)
    print(f"# {plane.server}; kubectl is {plane.binaries.kubectl}; Ctrl-C stops it", flush=True)
    while True:
        signal.pause()


def _run(plane: ControlPlane, command: list[str]) -> int:
    path = f"{plane.binaries.kubectl.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "KUBECONFIG": str(plane.admin_kubeconfig), "PATH": path}
    return subprocess.run(command, env=environment, check=False).returncode


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ended(number: int, frame: FrameType | None) -> None:
    """Turn SIGTERM into an orderly end."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
