"""A real Kubernetes control plane for tests and the demo, its programs found or built once.

`ControlPlane.start()` from Python, `python -m controlplane` from a shell.
"""

from controlplane.binaries import Binaries, binaries, tool
from controlplane.faults import Fault, Seen
from controlplane.go import GoMissingError
from controlplane.gotools import BinariesError
from controlplane.launch import LaunchError
from controlplane.plane import ControlPlane, ControlPlaneError
from controlplane.proxy import FaultProxy
from controlplane.workspace import WorkspaceError

__all__ = [
    "Binaries",
    "BinariesError",
    "ControlPlane",
    "ControlPlaneError",
    "Fault",
    "FaultProxy",
    "GoMissingError",
    "LaunchError",
    "Seen",
    "WorkspaceError",
    "binaries",
    "tool",
]
