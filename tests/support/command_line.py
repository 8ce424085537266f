"""What click reads of some words and variables, for the settings of each command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import patch

import click


def read(flags: Sequence[click.Option], words: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the values by field; variables are those given and no other of the operator's."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("EVS_OPERATOR_")}
    with patch.dict(os.environ, {**others, **variables}, clear=True):
        return click.Command("it", params=list(flags)).make_context("it", list(words)).params


def names(flags: Sequence[click.Option]) -> set[str]:
    """Return every way to write one of these flags."""
    return {name for flag in flags for name in (*flag.opts, *flag.secondary_opts)}
