"""A refused credential: what is probably wrong with it, in the same words in statuses and in `check --connection`."""

from __future__ import annotations

import pytest

from evs_operator.api.connection import AuthKind
from evs_operator.check.answers import findings
from evs_operator.core.refusals import probable_cause
from evs_operator.evs import errors

WORDS: list[tuple[AuthKind, str, str, str]] = [
    ("accessKey", "Get secretKey failed,ak:AK,err:ak not exist", "APIGW.0301", "correct accessKey in the Secret"),
    ("accessKey", "verify aksk signature fail, canonicalRequest:GET|", "APIGW.0301", "correct secretKey in the Secret"),
    ("accessKey", "calc aksk signature fail:signature expired", "APIGW.0301", "set the clock"),
    ("accessKey", "the security token has expired", "IAM.1108", "with the securityToken it may have, into the Secret"),
    ("accessKey", "inactive", "IAM.1107", "switched off"),
    ("accessKey", "Unauthorized", "", "a valid access key of this cloud and its secret key into the Secret"),
    ("token", "The token must be updated", "APIGW.0307", "the token has expired: put a new one into the Secret"),
    ("token", "token expires at 10:00", "APIGW.0301", "the token has expired"),
    ("token", "decrypt token fail", "APIGW.0301", "is it complete, of this cloud, and on one line?"),
    ("token", "Authentication required", "", "a valid token of this cloud and project into the Secret"),
    ("password", "The username or password is wrong.", "401", "the user name, the password or domainName is wrong"),
    ("password", "wrong", "IAM.0062", "the user name, the password or domainName is wrong"),
    ("password", "The account is locked", "IAM.0061", "the user is locked"),
    ("oidc", "Unauthorized.", "401", "what the identity provider lets the operator's ServiceAccount do"),
    ("instanceMetadata", "verify aksk signature fail", "APIGW.0301", "does not belong to the access key"),
]


@pytest.mark.parametrize(("kind", "said", "code", "meaning"), WORDS)
def test_what_is_wrong_is_told_in_the_same_words_everywhere(kind: AuthKind, said: str, code: str, meaning: str) -> None:
    error = errors.Unauthorized("evs.example.com:", said=said, code=code or None, http_status=401)
    error.signing_in = kind in ("password", "oidc")
    assert meaning in probable_cause(error, kind)
    (finding,) = findings(error, kind, "0" * 32)
    assert meaning in finding.detail
    assert "(401, " not in finding.detail, "the status is no code"


@pytest.mark.parametrize("kind", ["password", "oidc"])
def test_a_token_that_iam_gave_and_evs_refuses_is_no_matter_of_the_password(kind: AuthKind) -> None:
    error = errors.Unauthorized("evs:", said="The token must be updated", code="APIGW.0307", http_status=401)
    assert "of the same cloud and region" in probable_cause(error, kind)


def test_advice_of_who_raised_the_error_comes_first() -> None:
    error = errors.Unauthorized("evs:", said="ak not exist")
    error.advice = "do that"
    assert probable_cause(error, "accessKey") == "do that"
