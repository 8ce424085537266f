"""The programs that tests and the demo start: the control plane's three, and tools such as helm, found or built once.

`plane` calls `binaries` before it starts anything, a test calls `tool` for a program, `python -m controlplane build`
gets all of them. `KUBEBUILDER_ASSETS` names kube-apiserver, etcd and kubectl that are used as they are; all else comes
from the user's cache, see `gotools`. A further Go program is a directory below `tests/gotools` and an entry here.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from controlplane.gotools import BinariesError, GoModule, Progress, built

KUBERNETES = "1.37.2"
"""The version that the go.mod of `controlplane` requires; Go does not stamp it into the programs by itself."""

HELM = "4.3.1"

_K8S_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES.split(".")

CONTROLPLANE = GoModule(
    "controlplane",
    KUBERNETES,
    "5 to 15 minutes, 4 GB",
    programs=("kube-apiserver", "etcd", "kubectl"),
    renamed={"server": "etcd"},
    stamps={
        f"{_K8S_VERSION}.gitVersion": f"v{KUBERNETES}",
        f"{_K8S_VERSION}.gitMajor": _MAJOR,
        f"{_K8S_VERSION}.gitMinor": _MINOR,
    },
)
MODULES = (
    CONTROLPLANE,
    GoModule(
        "helm",
        HELM,
        "2 to 5 minutes",
        programs=("helm",),
        stamps={"helm.sh/helm/v4/internal/version.version": f"v{HELM}"},
    ),
    GoModule("actionlint", "1.7.12", "half a minute", programs=("actionlint",)),
    GoModule("judges", "1", "half a minute", programs=("kstatus", "argolua")),
    GoModule(
        "controller-runtime",
        "0.25.2",
        "1 to 3 minutes",
        programs=("controller-runtime",),
        place=Path(__file__).parents[2] / "examples" / "consumers" / "controller-runtime",
    ),
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the control plane's programs; all exist and may be executed."""

    kube_apiserver: Path
    etcd: Path
    kubectl: Path


def binaries(progress: Progress) -> Binaries:
    """Find the programs of the control plane, or build them (minutes, once per version and user)."""
    directory = module_directory(CONTROLPLANE, progress)
    return Binaries(*(directory / name for name in CONTROLPLANE.programs))


def tool(program: str, progress: Progress) -> Path:
    """Find one program of any module by its name, or build its module (minutes, once per version and user)."""
    for module in MODULES:
        if program in module.programs:
            return module_directory(module, progress) / program
    known = ", ".join(name for module in MODULES for name in module.programs)
    raise BinariesError(f"no Go module yields {program}; there are {known}")


def module_directory(module: GoModule, progress: Progress) -> Path:
    """Return the directory of a module's programs: the user's own assets, or the cache."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets or module is not CONTROLPLANE:
        return built(module, progress)
    directory = Path(assets).absolute()
    if missing := module.missing_in(directory):
        raise BinariesError(
            f"KUBEBUILDER_ASSETS={directory} has no {', '.join(missing)}: add it, or unset the variable"
        )
    return directory
