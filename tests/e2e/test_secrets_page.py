"""docs/secrets.md: the CronJob that renews a token does so, with the rights that the page gives it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.operator_process import ROOT, Objects, custom, start_operator
from support.simulator import PROJECT, SimulatorProcess, run_simulator

_PAGE = ROOT / "docs" / "secrets.md"


@pytest.fixture
def page() -> dict[str, Any]:
    """Give the objects of the page's only block that is applied, by kind."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return {document["kind"]: document for document in yaml.safe_load_all(block)}


def _renew(objects: Objects, page: dict[str, Any], simulator: SimulatorProcess, place: Path) -> None:
    (container,) = page["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    for mounted in ("user", "tmp"):
        (place / mounted).mkdir(exist_ok=True)
    script = re.sub(r"(?<![\w.])/(user|tmp)/", rf"{place}/\1/", container["args"][0])
    for key, value in {"username": "demo", "password": "demo-password", "domainName": "demo-domain"}.items():
        (place / "user" / key).write_text(value)
    if shutil.which("curl") is None:
        (place / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "support" / "curl.py"} "$@"\n')
        (place / "curl").chmod(0o755)
    path = [str(objects.plane.binaries.kubectl.parent), str(place), os.environ["PATH"]]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(path),
        "KUBECONFIG": str(objects.plane.kubeconfig_of(objects.namespace, "evs-token")),
        "IAM": simulator.url,
        "PROJECT": PROJECT,
        "NO_PROXY": "*",
    }
    command = [*container["command"], script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_cron_job_writes_a_token_that_the_cloud_accepts_and_renews_it(
    operator_kubeconfig: Path, objects: Objects, page: dict[str, Any], tmp_path: Path
) -> None:
    objects.apply(*(page[kind] for kind in ("ServiceAccount", "Role", "RoleBinding", "CronJob")))
    with run_simulator() as simulator:
        _renew(objects, page, simulator, tmp_path)
        first = objects.get("secret", "evs-token")["data"]["token"]
        auth = {"token": {"secretRef": {"name": "evs-token"}}}
        objects.apply(custom("EvsConnection", "default", endpoint=simulator.url, projectId=PROJECT, auth=auth))
        with start_operator(operator_kubeconfig, "--namespace", objects.namespace, "--allow-endpoint", simulator.url):
            objects.kubectl("wait", "evsconnection/default", "--for=condition=Ready", "--timeout=30s")
        _renew(objects, page, simulator, tmp_path)
    assert objects.get("secret", "evs-token")["data"]["token"] != first
