"""What is sent to the API server is JSON and YAML at once, whatever characters it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evs_operator.kube.encoding import encoded

_TEXT = st.text(st.characters(exclude_categories=("Cs",)))
_HALVES = st.text(st.characters(categories=("Cs",)), min_size=1)
_PLANES = [chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0x21, 0x1F600 & 0xFFFF, 0xFFFD)]
_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_TEXT.filter(lambda k: len(k) < 100), inner, max_size=4)
    ),
    max_leaves=20,
)


def _as_yaml(data: bytes) -> Any:
    return yaml.load(data, Loader=yaml.SafeLoader)


@given(_BODIES)
def test_json_and_yaml_read_the_same_out_of_it(body: object) -> None:
    data = encoded(body)
    assert json.loads(data) == body
    assert _as_yaml(data) == body


@pytest.mark.parametrize("character", _PLANES, ids=lambda c: f"U+{ord(c):04X}")
def test_every_plane_of_unicode_is_sent_as_it_is(character: str) -> None:
    data = encoded({"name": character})
    assert data == f'{{"name":"{character}"}}'.encode()
    assert _as_yaml(data) == {"name": character}


@given(st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Cn", "Co")))
def test_what_yaml_takes_for_a_line_end_or_for_no_character_survives(character: str) -> None:
    body = {"a": f"x{character}y", f"k{character}": f"{character} "}
    assert _as_yaml(encoded(body)) == json.loads(encoded(body)) == body


@given(_HALVES, _TEXT)
def test_half_a_pair_never_reaches_the_api_server(halves: str, text: str) -> None:
    data = encoded({"name": text + halves + text})
    assert json.loads(data) == {"name": text + "\ufffd" * len(halves) + text}
    assert b"\\ud" not in data
