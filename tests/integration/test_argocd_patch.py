"""The patch of `argocd/` goes into Argo CD's ConfigMap as its README says, and leaves what is there."""

from __future__ import annotations

import json

from controlplane import ControlPlane
from support import argocd
from support.operator_process import ROOT


def test_the_command_of_the_guide_adds_the_scripts_to_the_config_map(
    control_plane: ControlPlane, namespace: str
) -> None:
    command = "kubectl patch configmap argocd-cm -n argocd --patch-file argocd/argocd-cm.yaml"
    for page in ("docs/gitops.md", "argocd/README.md", "argocd/argocd-cm.yaml"):
        assert command in (ROOT / page).read_text(encoding="utf-8")
    control_plane.kubectl("create", "configmap", "argocd-cm", "-n", namespace, "--from-literal=url=https://argocd")
    place = ("-n", namespace, "--patch-file", str(argocd.CONFIG_MAP))
    control_plane.kubectl("patch", "configmap", "argocd-cm", *place)
    data = json.loads(control_plane.kubectl("get", "configmap", "argocd-cm", "-n", namespace, "-o", "json").stdout)[
        "data"
    ]
    assert data["url"] == "https://argocd"
    script = (argocd.GROUP / "EvsJob" / "health.lua").read_text(encoding="utf-8")
    assert data["resource.customizations.health.evs-operator.dev_EvsJob"] == script
