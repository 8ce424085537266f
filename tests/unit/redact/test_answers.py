"""A server that gives the credential back, anywhere and in any spelling, has it shown in no status and no log line."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evs_operator.api.reasons import ConnectionReason
from evs_operator.api.spec import EvsJobSpec
from evs_operator.cloud.classify import read_answer
from evs_operator.core.connection_status import connection_status
from evs_operator.core.decide import Subject, decide
from evs_operator.core.observation import JobSeen, Observation, trouble_of
from evs_operator.evs import errors
from evs_operator.observe.logs import JsonFormatter, TextFormatter
from evs_operator.redact.redactor import Redactor
from support import echoes
from support.secret_forms import FORMS, shows

NOW = datetime(2026, 2, 3, 9, 15, tzinfo=UTC)
JOB = "ff80808292ab11f50193d0c1a5e40b17"
# as keys and tokens are: no two parts of it alike
SECRETS = st.tuples(st.binary(min_size=1, max_size=8), st.integers(16, 70)).map(
    lambda drawn: base64.b85encode(hashlib.sha512(drawn[0]).digest()).decode()[: drawn[1]]
)


def status_of(observation: Observation, redact: Redactor) -> str:
    subject = Subject(generation=1, spec=EvsJobSpec(JOB), observation_start=NOW)
    return json.dumps(decide(subject, {}, observation, NOW, redact=redact), ensure_ascii=False)


def shown_of(answer: echoes.Answer, redact: Redactor) -> str:
    """Return all that anybody sees of an answer: statuses, and log lines with and without a traceback."""
    status, headers, content = answer
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        job = read_answer(status, lowered, content, job_id=JOB, where="evs.example.com", now=NOW)
    except errors.CloudError as error:
        trouble = trouble_of(error, redact)
        of_connection = connection_status(
            ConnectionReason.UNAUTHORIZED, trouble.message(), generation=1, previous=[], now=NOW
        )
        shown = [status_of(trouble, redact), json.dumps(of_connection)]
        try:
            raise RuntimeError(f"after {error} with {headers}") from error
        except RuntimeError:
            record = logging.LogRecord("x", logging.ERROR, __file__, 1, "got %r", (content,), sys.exc_info())
        for kind in (JsonFormatter, TextFormatter):
            shown += [kind(redact, debug=debug).format(record) for debug in (True, False)]
        return "\n".join(shown)
    return status_of(JobSeen(job), redact)


@pytest.mark.parametrize("envelope", echoes.ERRORS)
@settings(max_examples=25)
@given(secret=SECRETS, form=st.sampled_from(sorted(FORMS)))
def test_no_envelope_shows_a_credential_that_it_echoes(envelope: str, secret: str, form: str) -> None:
    answer = echoes.with_headers(echoes.ERRORS[envelope](FORMS[form](secret)), secret)
    shown = shown_of(answer, Redactor([secret]))
    assert not shows(shown, secret), shown


@settings(max_examples=60)
@given(secret=SECRETS, form=st.sampled_from(sorted(FORMS)), word=st.sampled_from(["FAIL", "SUCCESS", "RUNNING", ""]))
def test_no_field_of_a_job_shows_a_credential_that_it_echoes(secret: str, form: str, word: str) -> None:
    written = FORMS[form](secret)
    body = echoes.job(written, word or written)
    shown = shown_of((200, {}, json.dumps({**body, "job_id": JOB}).encode()), Redactor([secret]))
    assert not shows(shown, secret), shown


@given(secret=SECRETS)
def test_a_redirect_shows_no_credential(secret: str) -> None:
    told = "".join(character for character in secret if character.isalnum())
    shown = shown_of(echoes.redirect(secret), Redactor([secret, told]))
    assert not shows(shown, told), shown


def test_these_tests_see_a_credential_that_is_not_redacted() -> None:
    secret = "Xy7-Kp93-Qwzz-41rT"
    for name, echo in echoes.ERRORS.items():
        assert name == "E10" or shows(shown_of(echo(secret), Redactor()), secret), name
    body = json.dumps({**echoes.job(secret), "job_id": JOB}).encode()
    assert shows(shown_of((200, {}, body), Redactor()), secret)
