"""Whose secrets are taken out of which texts."""

from __future__ import annotations

import pytest

from evs_operator.engine.redaction import Redaction
from evs_operator.observe.redact import Redactor


def test_a_secret_of_one_namespace_is_taken_out_of_its_statuses_and_of_all_logs() -> None:
    redaction = Redaction()
    redaction.hold(["team-a-secret"], "team-a")
    assert redaction.within("team-a")("it is team-a-secret") == "it is ***"
    assert redaction("it is team-a-secret") == "it is ***"


def test_who_writes_a_secret_in_one_namespace_changes_no_other_ones_results() -> None:
    redaction = Redaction()
    redaction.hold(["SUCCESS", "createVolume", "5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e"], "attacker")
    text = "createVolume SUCCESS 5d0c3c7e-6a1f-4f0e-9b7a-0a6a0b1c2d3e"
    assert redaction.within("victim")(text) == text
    assert redaction.within("")(text) == text


def test_shared_credentials_are_taken_out_everywhere() -> None:
    redaction = Redaction()
    in_team, known_team = redaction.within("new-team"), "team-a"
    redaction.hold(["a-secret-of-its-own"], known_team)
    redaction.hold(["the-platform-token"])
    assert in_team("the-platform-token") == "***"
    assert redaction.within(known_team)("the-platform-token a-secret-of-its-own") == "*** ***"


def test_a_value_that_was_replaced_is_still_taken_out() -> None:
    redaction = Redaction()
    redaction.hold(["the-old-password"], "team")
    redaction.hold(["a-brand-new-one"], "team")
    assert redaction.within("team")("the-old-password a-brand-new-one") == "*** ***"


def test_a_text_that_was_shown_before_is_redacted_once_a_secret_in_it_is_held() -> None:
    redaction = Redaction()
    text = "it is team-a-secret"
    assert redaction(text) == redaction.within("team-a")(text) == redaction.within("team-b")(text) == text
    redaction.hold(["team-a-secret"], "team-a")
    assert redaction(text) == redaction.within("team-a")(text) == "it is ***"
    assert redaction.within("team-b")(text) == text
    redaction.hold(["team-a-secret"])
    assert redaction.within("team-b")(text) == "it is ***"


def test_a_text_too_long_to_be_remembered_is_redacted_too() -> None:
    redaction = Redaction()
    redaction.hold(["team-a-secret"], "team-a")
    assert redaction.within("team-a")("x " * 500 + "team-a-secret").endswith("x ***")


def test_a_word_that_was_shown_before_is_taken_out_from_the_moment_it_is_a_secret() -> None:
    redaction = Redaction()
    redact = redaction.within("team")
    assert redact("open-sesame") == "open-sesame"
    redaction.hold(["open-sesame"], "team")
    assert redact("open-sesame") == "***"
    redaction.hold(["another-one"])
    assert redact("open-sesame") == "***"


HOUR = 3600.0


def test_the_values_of_a_namespace_are_forgotten_an_hour_after_its_last_connection_is_gone() -> None:
    """Or the next team whose namespace has that name would have its own words masked, and the process would grow."""
    redaction = Redaction()
    redaction.hold(["alpha-0123456"], "team")
    redaction.hold(["omega-9876543"], "other")
    redaction.hold(["the-platform-token"])
    text, now = "alpha-0123456 omega-9876543 the-platform-token", 1000.0
    redaction.forget_unused({"team", "other"}, now)
    redaction.forget_unused({"other"}, now + 1 * HOUR)
    redaction.forget_unused({"other"}, now + 2 * HOUR - 1.0)
    assert redaction.within("team")(text) == "*** omega-9876543 ***", "it may still come back"
    redaction.forget_unused({"other"}, now + 2 * HOUR)
    assert redaction.within("team")(text) == "alpha-0123456 omega-9876543 ***"
    assert redaction.within("other")(text) == "alpha-0123456 *** ***"
    assert redaction(text).endswith("*** ***")


def test_a_namespace_that_comes_back_has_its_hour_anew() -> None:
    redaction = Redaction()
    redaction.hold(["alpha-0123456"], "team")
    redaction.forget_unused((), 0.0)
    redaction.forget_unused({"team"}, 0.9 * HOUR)
    redaction.forget_unused((), 1.0 * HOUR)
    redaction.forget_unused((), 1.9 * HOUR)
    assert redaction.within("team")("alpha-0123456") == "***"
    redaction.hold(["a-late-token"], "team")
    redaction.forget_unused((), 2.0 * HOUR)
    assert redaction.within("team")("alpha-0123456") == "***"
    redaction.forget_unused((), 3.0 * HOUR)
    assert redaction.within("team")("alpha-0123456") == "alpha-0123456"


def test_namespaces_that_come_and_go_leave_nothing_behind() -> None:
    redaction = Redaction()
    redaction.hold(["the-platform-token"])
    for number in range(300):
        name = f"build-{number}"
        redaction.hold([f"{number:04}-{'x' * 20}"], name)
        redaction.forget_unused({name}, number * 300.0)
    assert len(redaction._of) <= 14  # twelve rounds of five minutes are an hour
    assert len(redaction._all) <= 2 * 15
    assert len(redaction._unused_since) <= 13
    redaction.forget_unused((), 1e6)
    redaction.forget_unused((), 2e6)
    assert not redaction._of
    assert list(redaction._all) == ["the-platform-token"]
    assert redaction("the-platform-token 0299-xxxxxxxxxxxxxxxxxxxx") == "*** 0299-xxxxxxxxxxxxxxxxxxxx"


def test_texts_that_were_announced_are_redacted_as_they_would_be_alone() -> None:
    redaction = Redaction()
    redaction.hold(["team-a-secret"], "team-a")
    texts = [f"volume-{number:04d}" for number in range(250)]
    texts[120] = "it is team-a-secret"
    texts[240] = "password=hunter2"
    redact = redaction.within("team-a", texts)
    assert redact("it is team-a-secret") == "it is ***"
    assert redact("password=hunter2") == "password=***"
    assert [redact(text) for text in texts if text.startswith("volume")] == texts[:120] + texts[121:240] + texts[241:]
    assert redact("team-a-secret in a text that was not announced") == "*** in a text that was not announced"


def test_a_secret_of_another_namespace_hides_no_text_that_was_announced() -> None:
    redaction = Redaction()
    redaction.hold(["SUCCESS-and-more"], "attacker")
    assert redaction.within("victim", ["SUCCESS-and-more"])("SUCCESS-and-more") == "SUCCESS-and-more"


def test_announced_texts_are_looked_through_together(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    alone = Redactor.__call__
    monkeypatch.setattr(Redactor, "__call__", lambda self, text: (looks.append(text), alone(self, text))[1])
    texts = [f"volume-{number:04d}" for number in range(250)]
    redact = Redaction().within("team-a", texts)
    assert [redact(text) for text in texts] == texts
    assert len(looks) == 3
