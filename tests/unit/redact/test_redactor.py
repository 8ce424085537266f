"""What is taken out of text before anybody sees it, and what stays."""

from __future__ import annotations

import base64
import json
import string
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evs_operator.redact.redactor import Redactor

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PKI = "MIIEFgYJKoZIhvcNAQcCoIIEBzCCBAMCAQExDTALBglghkgBZQMEAgEwggJkBgkqhkiG9w0B"
SIGNATURE = "1547dfe69dff9d710baea47ca05177480bd8adb06d2b791af3e70f88fff67ade"
AUTHORIZATION = (
    f"SDK-HMAC-SHA256 Access=AKIDEXAMPLE1234567, SignedHeaders=host;x-project-id;x-sdk-date, Signature={SIGNATURE}"
)
plain = Redactor()


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"Authorization: {AUTHORIZATION}", ["AKIDEXAMPLE1234567", SIGNATURE]),
        (f"{{'Authorization': '{AUTHORIZATION}', 'Host': 'x'}}", ["AKIDEXAMPLE1234567", SIGNATURE]),
        (f"got {AUTHORIZATION[:60]}", ["AKIDEXAMPLE1234567"]),
        ("authorization: Bearer abc.def-ghi_jkl", ["abc.def-ghi_jkl"]),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", ["dXNlcjpwYXNzd29yZA"]),
        (f"X-Auth-Token: {PKI}", [PKI]),
        (f"x-auth-token={PKI}&x=1", [PKI]),
        ("X-Auth-Token: short-1", ["short-1"]),
        ("'X-Subject-Token': 'gAAAAABxyz-123'", ["gAAAAABxyz-123"]),
        ("x_security_token: hw-sts-12345", ["hw-sts-12345"]),
        (f"token {JWT} expired", [JWT, JWT[-20:]]),
        (f"the token {PKI} is cut off", [PKI, PKI[10:]]),
        ('{"password": "hunter2!"}', ["hunter2!"]),
        ('{"user":{"password":"hunter 2 with blanks"}}', ["hunter", "blanks"]),
        ('{"password": "hunter \\"2\\" quotes"}', ["hunter", "quotes"]),
        ("{'password': \"it's hunter\"}", ["it's", "hunter"]),
        ("password='hunter two'", ["hunter", "two"]),
        ('"{\\"password\\": \\"hunter, two\\"}"', ["hunter", "two"]),
        ("password=hunter2!", ["hunter2!"]),
        ("passwd: hunter2!", ["hunter2!"]),
        ('{\\"password\\": \\"hunter2!\\"}', ["hunter2!"]),
        ("pwd=%68unter2", ["%68unter2"]),
        ("secret_key: abcd1234efgh", ["abcd1234efgh"]),
        ("secretKey=abcd1234efgh", ["abcd1234efgh"]),
        ('"access":"AKID12345678","secret":"SK12345678","securitytoken":"ST12345678"', ["AKID", "SK12", "ST12"]),
        ("Get secretKey failed,ak:AKIDEXAMPLE,err:ak not exist", ["AKIDEXAMPLE"]),
        (
            "verify aksk signature fail, canonicalRequest:GET|/v1/p/jobs/j/||host:evs|x-sdk-date:20260102T030405Z|"
            "x-security-token:temporary-value||host;x-sdk-date|e3b0c44298fc1c14",
            ["temporary-value", "/v1/p/jobs"],
        ),
        ("https://user:pa55word@evs.example.com/v1", ["pa55word", "user:"]),
        ("proxy http://token@10.0.0.1:8080 refused", ["//token@"]),
        (f"signature {SIGNATURE} differs", [SIGNATURE]),
        (f"signature {SIGNATURE.upper()} differs", [SIGNATURE.upper()]),
        ("blob " + base64.b64encode(bytes(range(90))).decode(), [base64.b64encode(bytes(range(90))).decode()[:40]]),
        ("Credential=AKID12345/20260102///sdk_request", ["AKID12345"]),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secrets: list[str]) -> None:
    shown = plain(text)
    assert "***" in shown
    for secret in secrets:
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e",
        "ff80808292ab11f50193d0c1a5e40b17",
        f"project {PROJECT} of job ff80808292ab11f50193d0c1a5e40b17",
        "2026-02-03T09:15:00.118Z",
        "signature expired, signature time:20260203T091500Z,server time:20260203T093105Z",
        "Incorrect IAM authentication information: decrypt token fail",
        "Incorrect IAM authentication information: verify aksk signature fail",
        "AK access failed to reach the limit,forbidden",
        "The token must be updated",
        "Invalid token in the header.",
        "x-auth-token not found",
        "EbsCreateVolumeTask-fail:volume is error!",
        "EbsCreateVolumeTask-fail:overLimit: VolumeSizeExceedsAvailableQuota",
        "badRequest: Invalid input received: Availability zone 'eu-de-09' is invalid",
        "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:5 minute",
        "project_id 'x' doesn't match Context's project_id 'null'",
        "EvsConnection team-a/main: Secret team-a/evs does not exist: create it",
        "Secret team-a/evs lacks accessKey, secretKey for auth.accessKey",
        "evs.eu-de.otc.t-systems.com is not reachable: its TLS certificate is not trusted",
        "Put a valid credential into the connection's Secret.",
        "https://evs.eu-de.otc.t-systems.com/v1/0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6/jobs/ff80808292ab11f50193d0c1a5e40b17",
        "policy sidecar-token-refresh-of-the-platform-team-in-the-second-region-of-the-landscape-that-is-long",
        "磁盘配额不足 (卷)",
        "a/b/c " * 40,
    ],
)
def test_ids_times_and_prose_survive_untouched(text: str) -> None:
    assert plain(text) == text


def forms_of(secret: str) -> list[str]:
    return [
        secret,
        f"x={quote(secret, safe='')}&y",
        f"x={quote_plus(secret)}",
        json.dumps({"m": secret}),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(b"user:" + secret.encode() + b"!").decode(),
        base64.urlsafe_b64encode(b"u" + secret.encode()).decode(),
    ]


@pytest.mark.parametrize(
    "secret", ["plain-value-1", "p@ss/w+rd=&%?", 'with "quotes" and \\', "pässwörd-卷-long", "six666"]
)
def test_a_secret_that_is_held_is_taken_out_in_every_form_it_may_come_back(secret: str) -> None:
    redact = Redactor([secret, "another-secret"])
    for form in forms_of(secret):
        shown = redact(f"before {form} after")
        assert secret not in shown
        assert "***" in shown
        assert shown.startswith("before ")


def test_a_value_too_short_to_be_told_from_prose_is_left_alone() -> None:
    assert Redactor(["abcde", "", "a"])("abcde a") == "abcde a"


def test_of_two_secrets_that_begin_alike_the_longer_is_taken_out_whole() -> None:
    assert Redactor(["sesame", "sesame-open"])("sesame-open sesame!") == "*** ***!"


def test_a_secret_of_many_lines_is_taken_out_line_by_line() -> None:
    redact = Redactor(["line-number-one\nline-number-two"])
    assert "number" not in redact("x line-number-two y\nline-number-one")


SECRET = st.text(string.ascii_letters + string.digits + "+/=-_.!@#$%&?", min_size=6, max_size=60)
AROUND = st.text(string.ascii_letters + " .,;:", max_size=30)


@given(st.lists(SECRET, min_size=1, max_size=6), AROUND, AROUND)
def test_no_secret_that_is_held_ever_comes_through(secrets: list[str], before: str, after: str) -> None:
    redact = Redactor(secrets)
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), json.dumps(secret)):
            assert secret not in redact(before + form + after).replace("***", "\x00")


TOKEN = st.text(string.ascii_letters + string.digits + "+/=-_.!@#$%", min_size=6, max_size=60)


@given(SECRET, TOKEN, AROUND)
@example("0" * 64, "0" * 64, "")
def test_what_follows_the_name_of_a_secret_is_taken_out(quoted: str, bare: str, after: str) -> None:
    assert quoted + "1Aa" not in plain(f'"password":"{quoted}1Aa"')
    for text in (f"X-Auth-Token: {bare}1Aa", f"token={bare}1Aa {after}"):
        assert f"{bare}1Aa" not in plain(text)


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = plain(text)
    assert plain(once) == once


@given(st.uuids(), st.text("0123456789abcdef", min_size=32, max_size=32), AROUND.filter(lambda text: ":" not in text))
def test_no_id_is_ever_taken_for_a_secret(uuid: object, id_: str, prose: str) -> None:
    text = f"{prose} volume {uuid} job {id_}"
    assert plain(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        *("SDK-HMAC-SHA256 ", "canonicalRequest ", "://a", "a", "A1", "token ", 'token="', "MII.", "token_", "x-auth-"),
        *("bearer ", 'token"', "\\", "secret ", "access-", "eyJ", "ak:", '"password":"', "Signature=", "token: ", "/"),
    ],
)
def test_the_time_it_takes_grows_with_the_length_of_the_text_and_no_faster(piece: str) -> None:
    redact = Redactor(["a-secret-value", "another-one"])
    text = piece * (200_000 // len(piece))
    started = time.thread_time()
    redact(text)
    assert time.thread_time() - started < 2.0


def test_many_secrets_cost_little_more_than_few() -> None:
    redact = Redactor(f"secret-number-{number}-{number * 7919}" for number in range(3000))
    text = "Incorrect IAM authentication information: decrypt token fail " * 8
    started = time.thread_time()
    for _ in range(100):
        redact(text)
    assert time.thread_time() - started < 1.0
