"""Signatures: the vectors of the vendor and of its Go signer, and agreement with the vendor's Python SDK."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from huaweicloudsdkcore.auth.credentials import BasicCredentials  # type: ignore[import-untyped]
from huaweicloudsdkcore.sdk_request import SdkRequest  # type: ignore[import-untyped]
from huaweicloudsdkcore.signer.signer import Signer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.cloud.auth.authentication import signing

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
PATH = f"/v1/{PROJECT}/jobs/ff8080827e7810fb017f06338a731328"
HOST = "evs.eu-de.otc.t-systems.com"
DATE = "20260102T030405Z"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_official_vector_is_reproduced() -> None:
    headers = {
        "Content-Type": "application/json",
        "Host": "service.region.example.com",
        "X-Sdk-Date": "20191115T033655Z",
    }
    query = [("limit", "2"), ("marker", "13551d6b-755d-4757-b956-536f674975c0")]
    canonical = signing.canonical_request("GET", "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/", query, headers)
    assert digest(canonical) == "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    made = signing.signature("MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", "20191115T033655Z", canonical)
    assert made == "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"


def test_the_vector_of_our_header_set_is_reproduced() -> None:
    headers = {"x-sdk-date": DATE, "X-Project-Id": PROJECT, "host": HOST}
    canonical = signing.canonical_request("GET", PATH, [], headers)
    assert digest(canonical) == "8b25f4fbb4d0978e6182c33e4bf19370f12bc4b3111611e8522f91a05038fc8b"
    made = signing.signature("SK-TEST", DATE, canonical)
    assert made == "1547dfe69dff9d710baea47ca05177480bd8adb06d2b791af3e70f88fff67ade"
    assert signing.authorization("AK", list(headers), made) == (
        f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-project-id;x-sdk-date, Signature={made}"
    )


def test_the_vector_of_the_legacy_dialect_is_reproduced() -> None:
    canonical = signing.canonical_request("GET", PATH, [], {"host": HOST, "x-sdk-date": DATE})
    scope, made = signing.legacy_signature("SK-TEST", DATE, canonical)
    assert scope == "20260102///sdk_request"
    assert made == "c37e039e9734f6297db4a5887dc4ee07d3dffd5cd8ee22bd3d33857b1b142e5f"


def test_the_date_of_a_signature_is_utc_whatever_the_zone_of_the_moment() -> None:
    moment = datetime(2026, 1, 2, 5, 4, 5, 999999, timezone(timedelta(hours=2)))
    assert signing.sdk_date(moment) == signing.sdk_date(moment.astimezone(UTC)) == DATE


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SEGMENT = st.text("abcABC019-_.~ !$&'()*+,;=:@äß卷", max_size=10) | st.sampled_from(["a%20b", "%2F", "%41%e4", "%25"])
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
NAME = st.sampled_from(["Content-Type", "X-Project-Id", "X-Security-Token", "User-Agent", "X-Language", "x-lower"]) | (
    st.from_regex(r"\Ax-[a-z0-9-]{1,12}\Z").filter(lambda name: name not in ("x-sdk-date", "x-project-id"))
)


@given(
    method=st.sampled_from(["GET", "post", "PUT", "DELETE"]),
    segments=st.lists(SEGMENT, max_size=5),
    closed=st.booleans(),
    query=st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=5),
    headers=st.dictionaries(NAME, VALUE, max_size=5),
    body=st.binary(max_size=40),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
)
def test_a_signature_equals_that_of_the_vendors_sdk(
    method: str,
    segments: list[str],
    closed: bool,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    key: str,
    moment: datetime,
) -> None:
    path = "/" + "/".join(segments) + ("/" if closed else "")
    date = signing.sdk_date(moment)
    headers = {**headers, "Content-Type": "application/json", "X-Sdk-Date": date, "Host": HOST}
    request: Any = SdkRequest(method, "https", HOST, path, path, list(query), dict(headers), body)
    theirs = Signer(BasicCredentials("AKID", key, PROJECT)).sign(request).header_params["Authorization"]

    canonical = signing.canonical_request(method, path, list(query), headers, body)
    made = signing.signature(key, date, canonical)
    assert signing.authorization("AKID", list(headers), made) == theirs
