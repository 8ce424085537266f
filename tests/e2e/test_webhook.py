"""The webhook against a real API server: each request of its contract, with real tokens and their rights alone."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlplane import ControlPlane
from support.webhook import JOB_ID, Answer, Api, WebhookProcess, events_of, token_of, until_waiting

pytestmark = pytest.mark.controlplane


def _jobs(namespace: str, name: str = "", query: str = "") -> str:
    return f"/v1/namespaces/{namespace}/evsjobs{f'/{name}' if name else ''}{f'?{query}' if query else ''}"


def _problem(answer: Answer, status: int) -> str:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    return str(answer.json["detail"])


def test_the_clouds_answer_makes_an_evsjob_named_by_its_job_id_and_twice_is_one(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    first = webhook.ask("POST", _jobs(namespace), sender, {"job_id": JOB_ID.upper()})
    assert first.status == 201, first
    assert first.headers["location"] == _jobs(namespace, JOB_ID)
    assert first.json == {
        "namespace": namespace,
        "name": JOB_ID,
        "uid": api.get(namespace, JOB_ID)["metadata"]["uid"],
        "state": "Pending",
        "ended": False,
        "reason": "Pending",
        "message": "waiting for the operator",
        "jobId": JOB_ID.upper(),
    }
    second = webhook.ask("POST", _jobs(namespace), sender, {"job_id": JOB_ID.upper(), "status": "RUNNING"})
    assert (second.status, second.json) == (200, first.json)
    assert second.headers["location"] == first.headers["location"]


def test_the_parameters_become_the_spec_and_another_job_or_connection_is_a_conflict(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    query = f"name=a&connection=cluster/shared&projectId={'ab' * 16}&deadlineSeconds=900&ttlSecondsAfterFinished=60"
    assert webhook.ask("POST", _jobs(namespace, query=query), sender, {"job_id": JOB_ID}).status == 201
    assert api.get(namespace, "a")["spec"] == {
        "jobId": JOB_ID,
        "connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"},
        "projectId": "ab" * 16,
        "deadlineSeconds": 900,
        "ttlSecondsAfterFinished": 60,
        "suspend": False,
    }
    other_job = webhook.ask("POST", _jobs(namespace, query=query), sender, {"job_id": "f" * 32})
    assert "another job" in _problem(other_job, 409)
    other_connection = webhook.ask("POST", _jobs(namespace, query="name=a"), sender, {"job_id": JOB_ID})
    assert "another connection" in _problem(other_connection, 409)


def test_a_manifest_is_taken_as_it_is_and_judged_by_the_api_server(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    manifest = {
        "apiVersion": "evs-operator.dev/v1alpha1",
        "kind": "EvsJob",
        "metadata": {"name": "m", "labels": {"team": "a"}},
        "spec": {"jobId": JOB_ID, "polling": {"minIntervalSeconds": 5}},
    }
    assert webhook.ask("POST", _jobs(namespace), sender, manifest).status == 201
    made = api.get(namespace, "m")
    assert made["metadata"]["labels"] == {"team": "a"}
    assert made["spec"]["polling"] == {"minIntervalSeconds": 5}
    assert made["metadata"]["managedFields"][0]["manager"] == "evs-webhook"
    manifest["metadata"] = {"name": "n"}
    manifest["spec"] = {"jobId": JOB_ID, "deadlineSeconds": 0}
    detail = _problem(webhook.ask("POST", _jobs(namespace), sender, manifest), 422)
    assert "spec.deadlineSeconds" in detail


def test_a_wait_ends_with_the_job_and_not_before(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    assert webhook.ask("GET", _jobs(namespace, "a", "wait=1s"), sender).status == 202
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(webhook.ask, "GET", _jobs(namespace, "a", "wait=1m"), sender)
        until_waiting(webhook, 1)
        api.say(namespace, "a", "InProgress")
        api.say(namespace, "a", "Failed", failure={"code": "EVS.5413", "category": "Quota"})
        answer = waits.result(20)
    assert answer.status == 200
    assert (answer.json["state"], answer.json["ended"], answer.json["jobStatus"]) == ("Failed", True, "FAIL")
    assert answer.json["failure"] == {"code": "EVS.5413", "category": "Quota"}
    assert webhook.ask("GET", _jobs(namespace, "a", "wait=1m"), sender).json == answer.json


def test_a_post_that_waits_is_answered_at_the_end(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(webhook.ask, "POST", _jobs(namespace, query="name=a&wait=60"), sender, {"job_id": JOB_ID})
        until_waiting(webhook, 1)
        api.say(namespace, "a", "Complete", volumeIds=["v-1"], duration="31.1s")
        answer = waits.result(20)
    assert (answer.status, answer.json["state"], answer.json["volumeIds"]) == (201, "Complete", ["v-1"])
    again = webhook.ask("POST", _jobs(namespace, query="name=a&wait=60"), sender, {"job_id": JOB_ID})
    assert (again.status, again.json["ended"]) == (200, True)


def test_a_stream_has_one_event_for_each_change_and_ends_with_the_job(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    connection = webhook.connect()
    headers = {"Authorization": f"Bearer {sender}", "Accept": "text/event-stream"}
    connection.request("GET", _jobs(namespace, "a"), headers=headers)
    events = events_of(connection)
    assert next(events)["state"] == "Pending"
    api.say(namespace, "a", "InProgress", progress="0/2")
    assert next(events)["progress"] == "0/2"
    api.patch(namespace, "a", {"metadata": {"labels": {"no": "change"}}})
    api.say(namespace, "a", "InProgress", progress="1/2")
    assert next(events)["progress"] == "1/2"
    api.say(namespace, "a", "Complete", progress="2/2")
    assert [(event["state"], event["ended"]) for event in events] == [("Complete", True)]
    connection.close()


def test_a_list_has_the_states_and_labels_that_are_asked_for(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    for number in range(3):
        api.make(namespace, f"j-{number}")
    api.say(namespace, "j-1", "Complete")
    api.patch(namespace, "j-2", {"metadata": {"labels": {"team": "b"}}})

    def names(query: str) -> list[str]:
        return [one["name"] for one in webhook.ask("GET", _jobs(namespace, query=query), sender).json["items"]]

    assert names("") == ["j-0", "j-1", "j-2"]
    assert names("state=complete,failed") == ["j-1"]
    assert names("state=Pending") == ["j-0", "j-2"]
    assert names("labelSelector=team+in+(a,b)") == ["j-2"]
    bad = webhook.ask("GET", _jobs(namespace, query="labelSelector=((("), sender)
    assert "expected" in _problem(bad, 422)


def test_reconcile_asks_the_operator_and_waits_for_its_echo(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    api.say(namespace, "a", "Complete")
    at_once = webhook.ask("POST", _jobs(namespace, "a") + "/reconcile", sender)
    assert (at_once.status, at_once.headers["reconcile-handled"]) == (202, "false")
    assert "evs-operator.dev/requestedAt" in api.get(namespace, "a")["metadata"]["annotations"]
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(webhook.ask, "POST", _jobs(namespace, "a") + "/reconcile?wait=30s", sender)
        until_waiting(webhook, 1)
        text = api.get(namespace, "a")["metadata"]["annotations"]["evs-operator.dev/requestedAt"]
        api.say(namespace, "a", "Complete", lastHandledReconcileAt=text)
        answer = waits.result(20)
    assert (answer.status, answer.headers["reconcile-handled"]) == (202, "true")


def test_fifty_parallel_identical_posts_make_one_object(webhook: WebhookProcess, sender: str, namespace: str) -> None:
    ready = threading.Barrier(50)

    def post() -> Answer:
        ready.wait(30)
        return webhook.ask("POST", _jobs(namespace), sender, {"job_id": JOB_ID})

    with ThreadPoolExecutor(50) as pool:
        answers = [done.result(60) for done in [pool.submit(post) for _ in range(50)]]
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 49}
    assert len({answer.json["uid"] for answer in answers}) == 1


def test_a_deleted_evsjob_ends_the_wait_and_its_namesake_is_not_followed(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(webhook.ask, "GET", _jobs(namespace, "a", "wait=1m"), sender)
        until_waiting(webhook, 1)
        api.delete(namespace, "a")
        api.make(namespace, "a")
        api.say(namespace, "a", "Complete")
        assert "deleted while you waited" in _problem(waits.result(20), 404)


def test_an_end_of_the_job_before_is_not_told_to_who_waits_for_the_next(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    api.say(namespace, "a", "Complete")
    api.patch(namespace, "a", {"spec": {"jobId": "f" * 32}})
    answer = webhook.ask("GET", _jobs(namespace, "a", "wait=1"), sender)
    assert (answer.status, answer.json["state"], answer.json["jobId"]) == (202, "Pending", "f" * 32)
    assert "jobStatus" not in answer.json
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(webhook.ask, "POST", _jobs(namespace, query="name=a&wait=1m"), sender, {"job_id": "f" * 32})
        until_waiting(webhook, 1)
        api.patch(namespace, "a", {"spec": {"jobId": "e" * 32}})
        assert "another job" in _problem(waits.result(20), 409)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_who_hangs_up_frees_the_place(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api, accept: str
) -> None:
    api.make(namespace, "a")
    connection = webhook.connect()
    headers = {"Authorization": f"Bearer {sender}", "Accept": accept}
    connection.request("GET", _jobs(namespace, "a", "wait=1m"), headers=headers)
    until_waiting(webhook, 1)
    connection.close()
    until_waiting(webhook, 0)


def test_an_evsjob_that_is_not_there_and_one_in_no_namespace_are_404(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api, crds: ControlPlane
) -> None:
    assert "not found" in _problem(webhook.ask("GET", _jobs(namespace, "no", "wait=5s"), sender), 404)
    admin = token_of(crds.admin_kubeconfig)
    assert "not found" in _problem(webhook.ask("POST", _jobs("no-such"), admin, {"job_id": JOB_ID}), 404)


def test_the_description_is_open_to_all(webhook: WebhookProcess) -> None:
    answer = webhook.ask("GET", "/openapi.json", None)
    assert answer.status == 200
    assert json.loads(answer.body)["openapi"].startswith("3.1")
