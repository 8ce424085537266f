"""What `check` prints: names as they are, and nothing of a secret in what others said."""

from __future__ import annotations

import pytest

from evs_operator.check.answers import findings
from evs_operator.check.report import Report
from evs_operator.evs import errors
from evs_operator.kube.api import KubeError
from evs_operator.observe.wording import Ours

SECRET = "access-key-hR7kQ2xW9pL4zT8vN1bM6yJ3"


def printed(report: Report, capsys: pytest.CaptureFixture[str], what: str, detail: str) -> str:
    report.line(False, what, detail)
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("name", ["access-key", "evs-token", "sk", "password"])
def test_a_name_is_printed_as_it_is_though_a_secret_begins_alike(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.hold(SECRET)
    line = printed(report, capsys, f"Secret default/{name}", "does not exist: create it")
    assert line == f"FAIL  Secret default/{name}: does not exist: create it"


def test_what_the_api_server_says_is_redacted_and_our_part_of_it_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.hold(SECRET)
    error = KubeError(403, Ours("GET /secrets/access-key:", f"token {SECRET} is refused"))
    line = printed(report, capsys, "API server", report.quoted(error.message))
    assert line == "FAIL  API server: GET /secrets/access-key: token *** is refused"


@pytest.mark.parametrize("kind", [errors.Unauthorized, errors.WrongProject, errors.Forbidden, errors.ServerError])
def test_what_the_cloud_says_is_redacted_and_our_advice_is_not(kind: type[errors.CloudError]) -> None:
    report = Report()
    report.hold(SECRET)
    error = kind("evs:", said=f"refused, canonicalRequest:GET|{SECRET}", code=SECRET, http_status=401)
    told = [found.detail for found in findings(error, "accessKey", "0" * 32, report.quoted) if not found.good]
    assert SECRET not in str(told)
    assert "canonicalRequest:***" in told[0]
    assert told[0].endswith(("into the Secret", "of the EvsJob", "EVS jobs there", "try again later"))
