"""The simulator judges signatures by the published vectors, not by our own signer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from evs_simulator.iam.signing import canonical_request, parse_authorization, signature

EMPTY = hashlib.sha256(b"").hexdigest()
JOB_PATH = "/v1/0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6/jobs/ff8080827e7810fb017f06338a731328"
HOST = "evs.eu-de.otc.t-systems.com"


def canonical(path: str, query: str, headers: Mapping[str, str]) -> str:
    return canonical_request("GET", path, query, headers.get, sorted(headers), EMPTY)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_official_example_is_signed_as_published() -> None:
    text = canonical(
        "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/",
        "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
        {
            "content-type": "application/json",
            "host": "service.region.example.com",
            "x-sdk-date": "20191115T033655Z",
        },
    )
    assert digest(text) == "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    signed = signature("MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", "20191115T033655Z", text, None)
    assert signed == "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"


def test_a_job_query_is_signed_by_the_current_dialect() -> None:
    headers = {"host": HOST, "x-project-id": "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6", "x-sdk-date": "20260102T030405Z"}
    text = canonical(JOB_PATH, "", headers)
    assert digest(text) == "8b25f4fbb4d0978e6182c33e4bf19370f12bc4b3111611e8522f91a05038fc8b"
    signed = signature("SK-TEST", "20260102T030405Z", text, None)
    assert signed == "1547dfe69dff9d710baea47ca05177480bd8adb06d2b791af3e70f88fff67ade"


def test_a_job_query_is_signed_by_the_legacy_dialect() -> None:
    text = canonical(JOB_PATH, "", {"host": HOST, "x-sdk-date": "20260102T030405Z"})
    signed = signature("SK-TEST", "20260102T030405Z", text, "20260102///sdk_request")
    assert signed == "c37e039e9734f6297db4a5887dc4ee07d3dffd5cd8ee22bd3d33857b1b142e5f"


def test_the_query_is_sorted_and_encoded_anew() -> None:
    text = canonical("/a%20b", "z=1&a=%7e&a=&flag", {"host": HOST})
    assert text.splitlines()[1:3] == ["/a%20b/", "a=&a=~&flag=&z=1"]


def test_values_of_signed_headers_are_trimmed() -> None:
    assert canonical("/", "", {"host": f"  {HOST} "}).splitlines()[3] == f"host:{HOST}"


def test_both_dialects_of_the_header_are_read() -> None:
    current = parse_authorization("SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=ab")
    legacy = parse_authorization(
        "SDK-HMAC-SHA256 Credential=AK/20260102/eu-de/evs/sdk_request, SignedHeaders=x-sdk-date, Signature=ab"
    )
    assert current is not None
    assert legacy is not None
    assert (current.access_key, current.scope) == ("AK", None)
    assert (legacy.access_key, legacy.scope) == ("AK", "20260102/eu-de/evs/sdk_request")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic abc",
        "SDK-HMAC-SHA256",
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=ab",  # the date must be signed
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=",
        "SDK-HMAC-SHA256 Access=AK, Access=AK, SignedHeaders=x-sdk-date, Signature=ab",
        "SDK-HMAC-SHA256 Credential=AK/20260102, SignedHeaders=x-sdk-date, Signature=ab",
        "AWS4-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=ab",
    ],
)
def test_a_malformed_header_is_not_an_authorization(text: str) -> None:
    assert parse_authorization(text) is None
