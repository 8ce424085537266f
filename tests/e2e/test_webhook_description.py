"""What the webhook says of itself is what it does: schemathesis sends it what the description allows, and what not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from support.operator_process import ROOT
from support.webhook import WebhookProcess, start_webhook

pytestmark = pytest.mark.controlplane
REFUSALS = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429)
CONFORMING = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def plain(webhook_kubeconfig: Path) -> Iterator[WebhookProcess]:
    """Give a webhook whose lines of the log are checked, as they are documented, at the end."""
    line = Draft202012Validator(json.loads((ROOT / "docs" / "reference" / "log-line.schema.json").read_text()))
    with start_webhook(webhook_kubeconfig, "--max-wait-seconds", "1", "--log-format", "json") as running:
        yield running
        lines = [json.loads(one) for one in running.log.rpartition("\n")[0].splitlines()]
        assert len(lines) > 100
        assert [(error.message, one) for one in lines for error in line.iter_errors(one)] == []


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_every_answer_is_described_and_none_is_a_defect(
    plain: WebhookProcess, sender: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{plain.url}/openapi.json")
    checks, seen = [CHECKS.get_one(name) for name in CONFORMING], Counter[int]()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            response = case.call(headers={"Authorization": f"Bearer {sender}"}, timeout=30)
            case.validate_response(response, checks=checks)
            assert response.status_code < 300 or response.status_code in REFUSALS
            seen[response.status_code] += 1

        try:
            ask()
        except schemathesis.errors.InvalidSchema as error:  # nothing can be wrong with a request that has no part
            assert "does not support negative testing" in str(error)  # noqa: PT017  # raised or not
    assert len(seen) > 2, seen
