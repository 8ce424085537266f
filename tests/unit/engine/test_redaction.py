"""Whose secrets are taken out of which texts."""

from __future__ import annotations

from evs_operator.engine.redaction import Redaction


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
