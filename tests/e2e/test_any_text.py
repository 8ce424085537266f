"""What the cloud and users write, in every plane of Unicode, comes into the status as it is: through the API server."""

from __future__ import annotations

import pytest

from support.jobs import body
from support.operator_process import Objects, OperatorProcess, condition
from support.scripted_cloud import ScriptedCloud

pytestmark = pytest.mark.controlplane
_JOB = "ff808082739334d80173941ec7b4{:04x}"
_PLANES = "".join(chr(plane * 0x10000 + 0x1F4BE % 0x10000) for plane in range(17))
TEXTS = {
    "emoji": "\U0001f600 disk \U0001f4be",
    "ideographs": "\U00020bb7野家",
    "planes": _PLANES,
    "line ends": "a\u2028b\u2029c\x85d",
    "marks": "\ufeffa\ufeff",
    "yaml": "key: [a, 'b', \"c\"] # no comment & *alias !tag | > % @ `",
    "words": "~",
}


def test_every_plane_of_unicode_is_written_as_the_cloud_says_it(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud
) -> None:
    objects.connect(cloud.url)
    for number, (name, text) in enumerate(TEXTS.items()):
        job_id = _JOB.format(number)
        told = body(
            "FAIL", entities={"name": text, "volume_id": "v1"}, fail_reason=f"because {text}", error_code="EVS.2024"
        )
        cloud.put(job_id, {**told, "job_id": job_id})
        objects.add_job(name.replace(" ", "-"), job_id)
    for name, text in TEXTS.items():
        status = objects.wait_reason(name.replace(" ", "-"), "JobFailed")
        assert status["entities"]["name"].replace("\ufffd", "\x85") == text, name
        assert "because" in status["failReason"]
        assert condition(status, "Failed")["status"] == "True"


def test_a_request_of_any_text_is_echoed(operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud) -> None:
    objects.connect(cloud.url)
    cloud.put(_JOB.format(0), {**body("RUNNING"), "job_id": _JOB.format(0)})
    objects.add_job("asked", _JOB.format(0))
    objects.wait_job("asked", lambda status: status.get("jobStatus") == "RUNNING")
    for text in TEXTS.values():
        objects.kubectl("annotate", "--overwrite", "evsjob", "asked", f"evs-operator.dev/requestedAt={text}")
        objects.wait_job("asked", lambda status, text=text: status.get("lastHandledReconcileAt") == text)  # type: ignore[misc]


def test_a_connection_whose_cloud_answers_with_emoji_has_a_status(
    operator: OperatorProcess, objects: Objects, cloud: ScriptedCloud
) -> None:
    cloud.put(_JOB.format(0), {"error_code": "APIGW.0301", "error_msg": "refused \U0001f600"}, status=401)
    objects.connect(cloud.url)
    objects.add_job("refused", _JOB.format(0))
    objects.wait_reason("refused", "Unauthorized")
    objects.kubectl("wait", "--for=condition=Ready=False", "--timeout=20s", "evsconnection/default")
