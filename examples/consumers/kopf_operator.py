"""An operator of your own, with kopf: starts work when an EvsJob completed, a Job that gets the ids of its volumes.

    kopf run --standalone --namespace team-a examples/consumers/kopf_operator.py

It decides by the condition Complete alone, and only where that speaks of the spec as it is now. `on.event` writes
nothing into the EvsJob (other handlers of kopf do) and also tells of EvsJobs that completed while this program was
down; what it did it does not do again, for the Job is named after the EvsJob's uid. It needs the rights to read EvsJobs
and to create Jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf
import kubernetes


@kopf.on.startup()
def ask_for_no_more_rights(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Neither look for new namespaces and CRDs nor write Events: both need rights that the work does not."""
    settings.scanning.disabled = True
    settings.posting.enabled = False


@kopf.on.event("evs-operator.dev", "v1alpha1", "evsjobs")
def start_work(body: kopf.Body, type: str | None, logger: kopf.Logger, **_: Any) -> None:
    """Create the Job once the EvsJob completed."""
    if type == "DELETED" or not has_completed(body):
        return
    name, job = f"use-volumes-{body['metadata']['uid']}", work_for(body)
    try:
        kubernetes.client.BatchV1Api().create_namespaced_job(body["metadata"]["namespace"], job)
    except kubernetes.client.ApiException as error:
        if error.status != 409:  # it is there already
            raise
    else:
        logger.info("started %s", name)


def has_completed(evs_job: Mapping[str, Any]) -> bool:
    """Tell whether an EvsJob completed; not where its status speaks of an older spec, such as another job id."""
    return any(
        condition["type"] == "Complete"
        and condition["status"] == "True"
        and condition["observedGeneration"] == evs_job["metadata"]["generation"]
        for condition in evs_job.get("status", {}).get("conditions", [])
    )


def work_for(evs_job: Mapping[str, Any]) -> dict[str, Any]:
    """Return your part: here a Job that prints the volume ids."""
    metadata = evs_job["metadata"]
    owner = {"apiVersion": evs_job["apiVersion"], "kind": evs_job["kind"], "name": metadata["name"]}
    volume_ids = " ".join(evs_job["status"].get("volumeIds", []))
    container = {
        "name": "use-volumes",
        "image": "busybox:1.37",
        "command": ["sh", "-c", "echo $VOLUME_IDS"],
        "env": [{"name": "VOLUME_IDS", "value": volume_ids}],
    }
    return {
        "metadata": {
            "name": f"use-volumes-{metadata['uid']}",
            "ownerReferences": [{**owner, "uid": metadata["uid"], "controller": True}],
        },
        "spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [container]}}},
    }


@kopf.on.login()
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Sign in as kubectl would, or with the ServiceAccount of the pod; the client library gets the same."""
    return kopf.login_via_client(**kwargs)
