"""The documentation speaks of the program that is here."""

import argparse
import re
from pathlib import Path

from evs_operator.settings import add_flags

_ROOT = Path(__file__).parents[2]
_FLAG = re.compile(r"--[a-z-]+")


def test_every_flag_of_run_is_documented_and_every_documented_flag_exists() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser, run=True)
    flags = {option for action in parser._actions for option in action.option_strings}
    rows = [line for line in (_ROOT / "docs" / "configuration.md").read_text().splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in _FLAG.findall(row.split(" | ")[0])}
    assert documented == flags
