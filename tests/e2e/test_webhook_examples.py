"""The ways to use the webhook that examples/ shows do what they say: their requests, sent as their tools would."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import yaml

from support.operator_process import ROOT
from support.webhook import JOB_ID, Api, WebhookProcess

pytestmark = pytest.mark.controlplane
EXAMPLES = ROOT / "examples" / "webhook"


def _send(webhook: WebhookProcess, token: str, method: str, url: str, namespace: str) -> dict[str, object]:
    parts = urlsplit(url)
    path = parts.path.replace("team-a", namespace) + "?" + parts.query.replace("5m", "1s")
    body = {"job_id": JOB_ID} if method == "POST" else None
    answer = webhook.ask(method, path, token, body)
    assert answer.status in (200, 201, 202)
    return answer.json


def test_the_request_of_the_terraform_data_source_is_understood_and_its_conditions_name_real_fields(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    text = (EXAMPLES / "terraform" / "by-webhook" / "main.tf").read_text()
    (url,) = re.findall(r'url +=\s"\$\{var.webhook_url\}(.*)"', text)
    assert re.findall(r'method +=\s"(.*)"', text) == ["POST"]
    first = _send(webhook, sender, "POST", url, namespace)
    assert first["state"] != "Complete"
    api.say(namespace, "data-volumes", "Complete", volumeIds=["v-1"])
    second = _send(webhook, sender, "POST", url, namespace)
    fields = set(re.findall(r"jsondecode\([\w.]+\)\.(\w+)", text))
    assert fields <= second.keys()
    assert (second["state"], second["volumeIds"]) == ("Complete", ["v-1"])


def test_the_condition_of_the_terraform_manifest_is_one_that_is_written(api: Api, namespace: str) -> None:
    text = (EXAMPLES / "terraform" / "by-kubeconfig" / "main.tf").read_text()
    (wanted,) = re.findall(r'type +=\s"(\w+)"\s+status = "(\w+)"', text)
    api.make(namespace, "data-volumes")
    api.say(namespace, "data-volumes", "Complete")
    conditions = {(one["type"], one["status"]) for one in api.get(namespace, "data-volumes")["status"]["conditions"]}
    assert wanted in conditions


def test_the_tasks_of_the_playbook_are_understood_and_it_goes_on_only_if_the_job_completed(
    webhook: WebhookProcess, sender: str, namespace: str, api: Api
) -> None:
    ((play),) = yaml.safe_load((EXAMPLES / "ansible" / "evs-job.yaml").read_text())
    jobs = play["vars"]["webhook_jobs"].replace("{{ webhook_url }}", "")
    answers = []
    for task in play["tasks"][:2]:
        assert task["no_log"] is True
        request = task["ansible.builtin.uri"]
        url = request["url"].replace("{{ webhook_jobs }}", jobs)
        answers.append(_send(webhook, sender, request.get("method", "GET"), url, namespace))
        api.say(namespace, "data-volumes", "Complete")
    assert [answer["ended"] for answer in answers] == [False, True]
    assert play["tasks"][2]["ansible.builtin.assert"]["that"] == 'evs_job.json.state == "Complete"'
