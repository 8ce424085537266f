"""Property tests fail for what the code does, never for how busy the machine is."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

_TESTS = Path(__file__).parents[1]


def test_no_property_test_has_a_time_limit() -> None:
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_no_property_test_says_otherwise() -> None:
    for path in _TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bdeadline=(?!None\b)", "".join(_settings_of(text))), path
        for suppressed in re.findall(r"suppress_health_check=\[([^\]]*)\]", text):
            assert "too_slow" in suppressed or "*settings.default.suppress_health_check" in suppressed, path


def _settings_of(text: str) -> list[str]:
    return re.findall(r"@settings\((.*?)\)\n", text, re.DOTALL)
