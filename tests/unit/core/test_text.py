"""What text from outside may do where it is shown: be read, and nothing else."""

from __future__ import annotations

import pytest

from evs_operator.core.text import bounded, one_line


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x80", "\x9b", "\u202e", "\u2066", "\ufffe", "\ud800"])
def test_a_character_that_steers_a_terminal_or_is_none_is_replaced(character: str) -> None:
    assert bounded(f"a{character}b", 10) == "a\ufffdb"


def test_text_of_many_lines_stays_so_and_one_line_is_one() -> None:
    assert bounded("a\n\tb 磁盘 é", 20) == "a\n\tb 磁盘 é"
    assert one_line("a\r\n\tb\u2028c\x85d", 20) == "a b c d"
