"""A CRD that is older than the operator, on the real API server: found out by its OpenAPI, before anything is lost."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import ControlPlane
from evs_operator.api.names import EVS_JOB
from evs_operator.kube.access import missing_access
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import load_cluster
from evs_operator.kube.schema import missing_fields

CRD = "evsjobs.evs-operator.dev"


@pytest.fixture
def older_crd(crds: ControlPlane) -> Iterator[ControlPlane]:
    """Take `status.state` and `status.failure.hint` out of the CRD of EvsJobs, and put it back afterwards."""
    found = json.loads(crds.kubectl("get", "crd", CRD, "-o", "json").stdout)
    older = copy.deepcopy(found["spec"])
    version = older["versions"][0]
    version["additionalPrinterColumns"] = []
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    status.pop("default", None)
    del status["properties"]["state"], status["properties"]["failure"]["properties"]["hint"]
    try:
        replace(crds, older)
        yield crds
    finally:
        replace(crds, found["spec"])


def replace(control_plane: ControlPlane, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    patch = json.dumps([{"op": "replace", "path": "/spec", "value": spec}])
    return control_plane.kubectl("patch", "crd", CRD, "--type=json", "-p", patch)


async def test_what_an_older_crd_lacks_is_named_and_nothing_is_once_it_is_replaced(older_crd: ControlPlane) -> None:
    api = KubeApi(await load_cluster(older_crd.admin_kubeconfig))
    try:
        end = time.monotonic() + 30.0
        while not (missing := await missing_fields(api)) and time.monotonic() < end:  # noqa: ASYNC110  # a server is asked
            await asyncio.sleep(0.5)
        assert missing == {EVS_JOB: ("status.failure.hint", "status.state")}
        problem = (await missing_access(api, ())).problem
        assert problem.startswith(
            f"the CRD {CRD} is older than this operator, it lacks status.failure.hint, status.state"
        )
    finally:
        await api.aclose()


async def test_our_own_crds_lack_nothing(crds: ControlPlane) -> None:
    api = KubeApi(await load_cluster(crds.admin_kubeconfig))
    try:
        end = time.monotonic() + 30.0
        while await missing_fields(api) != {} and time.monotonic() < end:  # noqa: ASYNC110  # a server is asked
            await asyncio.sleep(0.5)
        assert await missing_fields(api) == {}
        assert not (await missing_access(api, ())).problem
    finally:
        await api.aclose()
