"""What the codes of EVS mean for a failed job."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.evs.error_codes import explain, lookup, table

CATEGORIES = {"Quota", "Permission", "InvalidInput", "WrongState", "Capacity", "Account", "Internal", "Unknown"}


@pytest.mark.parametrize(
    ("code", "status", "klass", "category"),
    [
        ("EVS.0002", 400, "A", "Permission"),
        ("EVS.0001", 400, "G", "InvalidInput"),
        ("EVS.1042", 400, "Q", "Quota"),
        ("EVS.2072", 400, "Q", "Capacity"),
        ("EVS.2071", 400, "Q", "Capacity"),
        ("EVS.5413", 413, "Q", "Quota"),
        ("EVS.1048", 400, "C", "WrongState"),
        ("EVS.2024", 500, "S", "Internal"),
        ("EVS.2002", 500, "T", "Internal"),
        ("EVS.2144", 403, "P", "Account"),
        ("EVS.5403", 403, "P", "Permission"),
        ("EVS.2265", 404, "P", "Permission"),
        ("EVS.5400", 400, "V", "InvalidInput"),
        ("Common.0011", 400, "N", "InvalidInput"),
    ],
)
def test_a_known_code_has_status_class_and_category(code: str, status: int, klass: str, category: str) -> None:
    known = lookup(code)
    assert known is not None
    assert (known.http_status, known.klass, known.category) == (status, klass, category)
    assert explain(code, "any text, even one that speaks of a quota") == known


@pytest.mark.parametrize(
    ("code", "reason", "category"),
    [
        ("EVS.5429", None, "Unknown"),
        ("EVS.5403x", "", "Unknown"),
        ("EVS.5502", None, "Internal"),
        ("EVS.5409", "the volume type [SSD] is sold out", "Capacity"),
        (None, "EbsCreateVolumeTask-fail:overLimit: VolumeSizeExceedsAvailableQuota", "Quota"),
        ("Ecs.0204", '{"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}', "Quota"),
        (None, "forbidden: Policy doesn't allow it", "Permission"),
        (None, "Account is FROZEN", "Account"),
        (None, "badRequest: Invalid input received: x", "InvalidInput"),
        (None, "volume status must be available", "WrongState"),
        (None, "volume is error!", "Unknown"),
        ("", "", "Unknown"),
        (None, None, "Unknown"),
    ],
)
def test_an_unknown_code_is_explained_by_its_text_and_number(
    code: str | None, reason: str | None, category: str
) -> None:
    assert explain(code, reason).category == category


@given(st.none() | st.text(), st.none() | st.text())
def test_every_failure_gets_a_category_and_says_what_to_do(code: str | None, reason: str | None) -> None:
    found = explain(code, reason)
    assert found.category in CATEGORIES
    assert re.fullmatch(r"[A-Z].{20,200}\.", found.hint)


def test_every_row_of_the_table_has_a_source_a_category_and_a_hint() -> None:
    rows = table()
    assert Counter(row.source for row in rows) == {"otc": 125, "huawei": 12, "live": 1, "client": 1}
    assert {row.category for row in rows} == CATEGORIES - {"Unknown"}
    for row in rows:
        assert re.fullmatch(r"(EVS|Common)\.\d{4}", row.code)
        assert row.message
        assert re.fullmatch(r"[A-Z].{20,200}\.", row.hint), row.code
    assert [row.code for row in rows] == sorted({row.code for row in rows})


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("EVS.2143", "agency"),
        ("EVS.2072", "sold out"),
        ("EVS.1048", "available"),
        ("EVS.2055", "KMS"),
        ("EVS.2020", "support"),
        ("EVS.1042", "quota of the project for gigabytes"),
    ],
)
def test_a_code_whose_remedy_is_known_says_it(code: str, word: str) -> None:
    assert word in explain(code, None).hint


def test_a_lookup_of_nothing_finds_nothing() -> None:
    assert lookup(None) is lookup("") is lookup("evs.5400") is None
