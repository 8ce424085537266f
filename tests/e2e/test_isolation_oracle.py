"""No oracle: what a tenant sees never depends on a secret that the tenant may not read.

Each test writes two texts where a tenant can, one with a piece of a real secret and a right guess of its next
character, one with a wrong guess or with letters that are in no secret. What comes back must differ in nothing but the
text itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.account import Object, is_told, job, ours, secret, token_connection
from support.jobs import VOLUME_ID, body
from support.operator_process import condition, eventually
from support.siege import SHARED_TOKEN, VICTIM_TOKEN, Siege, named

FLAGS = ("--log-level", "debug")
EVIL_TOKEN = "a-token-of-mallory-5d7e"
NOBODYS = "Qz7XkW2vJp9RtLm4YsHd8NcFbG3uEaTq5ViOoZw1CxKjUy6BnPrDhMfSgAle0I"
"""Letters that stand in no secret."""
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 one byte in": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode().rstrip("="),
    "reversed": lambda text: text[::-1],
    "split by a dot": lambda text: ".".join(text[at : at + 8] for at in range(0, len(text), 8)),
}
PLACES = (120, 400)


def held_secrets(it: Siege) -> dict[str, str]:
    """Return secrets that mallory may not read: the operator's own token, the platform's, the victim's."""
    config = it.kubeconfig.read_text(encoding="utf-8")
    own = config.split('"token": "', 1)[1].split('"', 1)[0]
    return {"operator": own, "platform": SHARED_TOKEN, "victim": VICTIM_TOKEN + VICTIM_TOKEN}


def guesses(it: Siege) -> Iterator[tuple[str, str, str]]:
    """Yield name, a text with a piece of a secret, and one of the same form with nothing of it."""
    for whose, value in held_secrets(it).items():
        for at in PLACES:
            piece = value[at : at + 25] if at + 25 < len(value) else value[1:26]
            for form, write in FORMS.items():
                yield f"{whose}, {at}, {form}", write(piece), write(NOBODYS[:25])


def lower(text: str) -> str:
    """Return a text as the name of an object."""
    return "x" + re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") + "x"


def wrong(right: str) -> str:
    """Return a text whose last character is another."""
    return right[:-1] + ("A" if right[-1] != "A" else "B")


def assert_alike(it: Siege, kind: str, pairs: dict[str, tuple[str, str]]) -> None:
    """Compare what objects `r-N` and `w-N` say, with what they quote taken out, until it is the same for all."""

    def unlike() -> list[tuple[str, str, str]]:
        found = it.mallory.list(kind)
        told = [
            (what, _said(found[f"r-{n}"], right), _said(found[f"w-{n}"], other).replace(f"w-{n}", f"r-{n}"))
            for n, (what, (right, other)) in enumerate(pairs.items())
        ]
        return [one for one in told if one[1] != one[2]]

    eventually(lambda: it.told(kind), 60)
    eventually(lambda: not unlike(), 20, lambda: str(unlike()[:3]))


def _said(one: Object, text: str) -> str:
    status = {key: value for key, value in one["status"].items() if key not in ("observationStartTime", "conditions")}
    said = [(c["type"], c["status"], c["reason"], c["message"]) for c in one["status"]["conditions"]]
    return named(str((said, status)), text)


def pairs_of(it: Siege, fit: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Return texts with and without a piece of a secret, made to fit into a field."""
    pairs: dict[str, tuple[str, str]] = {}
    for what, right, other in guesses(it):
        a, b = fit(right), fit(other)
        pairs.setdefault(what, (a, b))
        pairs.setdefault(f"{what}, last character", (a, wrong(a) if fit(wrong(a)) == wrong(a) else b))
    return pairs


FIELDS: dict[str, tuple[Callable[[str], str], Callable[[str, str], Object]]] = {
    "tls.caSecretRef.key": (
        lambda text: "x" + text,
        lambda url, text: token_connection("", url, tls={"caSecretRef": {"name": "own", "key": text}}),
    ),
    "tls.caSecretRef.name": (
        lower,
        lambda url, text: token_connection("", url, tls={"caSecretRef": {"name": text}}),
    ),
    "secretRef.name": (
        lower,
        lambda url, text: token_connection("", url, held_by=text),
    ),
    "endpoint": (
        lambda text: f"https://{lower(text)}.example.test",
        lambda url, text: token_connection("", text),
    ),
    "region": (lambda text: text[:64].strip("-._"), lambda url, text: token_connection("", url, region=text)),
}


@pytest.mark.parametrize("field", FIELDS)
def test_the_status_of_a_connection_is_the_same_for_a_right_and_a_wrong_guess_in(it: Siege, field: str) -> None:
    it.share("shared")
    it.mallory.create(secret("own", token=EVIL_TOKEN))
    fit, make = FIELDS[field]
    pairs = pairs_of(it, fit)
    made = []
    for number, texts in enumerate(pairs.values()):
        for letter, text in zip("rw", texts, strict=True):
            made.append(make(it.evil.url, text))
            made[-1]["metadata"]["name"] = f"{letter}-{number}"
    with it.others_go_on():
        it.mallory.create(*made)
        assert_alike(it, "EvsConnection", pairs)


def test_the_status_of_an_evsjob_is_the_same_for_a_right_and_a_wrong_guess_in_any_text_it_quotes(it: Siege) -> None:
    it.share("shared")
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    pairs = pairs_of(it, str)
    made = []
    for number, texts in enumerate(pairs.values()):
        for letter, text in zip("rw", texts, strict=True):
            job_id = f"{number:031x}{'0' if letter == 'r' else '1'}"
            answer = body("FAIL", job_type=text, fail_reason=f"it is {text}!", error_code=text)
            it.evil.says(job_id, {**answer, "job_id": job_id, "entities": {"name": text, "volume_id": VOLUME_ID}})
            made.append(job(f"{letter}-{number}", job_id))
            made[-1]["metadata"]["annotations"] = {"evs-operator.dev/requestedAt": text}
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: all("jobId" in one.get("status", {}) for one in it.mallory.list("EvsJob").values()), 60)
        found = it.mallory.list("EvsJob")
    for number, (what, (right, other)) in enumerate(pairs.items()):
        said = [_words(found[f"{letter}-{number}"], text) for letter, text in (("r", right), ("w", other))]
        assert said[0] == said[1], what
        assert "***" not in said[0], what


def _words(one: Object, text: str) -> str:
    status = one["status"]
    words = {
        key: status.get(key) for key in ("jobType", "entities", "failReason", "errorCode", "lastHandledReconcileAt")
    }
    return named(str((words, [c["message"] for c in status["conditions"]])), text)


@pytest.mark.parametrize("field", ["connectionRef.name", "jobId", "projectId"])
def test_the_status_of_an_evsjob_is_the_same_for_a_right_and_a_wrong_guess_in(it: Siege, field: str) -> None:
    it.share("shared")
    it.mallory.create(secret("own", token=EVIL_TOKEN), token_connection("default", it.evil.url))
    fits: dict[str, Callable[[str], str]] = {
        "connectionRef.name": lower,
        "jobId": lambda text: ("x" + text.replace("_", "-").replace(".", "-"))[:64],
        "projectId": lambda text: text.encode().hex()[:32],
    }
    pairs = pairs_of(it, fits[field])
    made = []
    for number, texts in enumerate(pairs.values()):
        for letter, text in zip("rw", texts, strict=True):
            spec: dict[str, Any] = {field: text} if "." not in field else {"connectionRef": {"name": text}}
            made.append(ours("EvsJob", f"{letter}-{number}", **{"jobId": "a" * 32, **spec}))
    with it.others_go_on():
        it.mallory.create(*made)
        assert_alike(it, "EvsJob", pairs)


def test_ten_characters_of_a_token_cannot_be_guessed_one_after_the_other(it: Siege) -> None:
    it.mallory.create(secret("own", token=EVIL_TOKEN))
    token, found = held_secrets(it)["operator"], ""
    with it.others_go_on():
        for place in range(300, 310):
            said = _said_to_guesses(it, token[place - 24 : place], token[place])
            found += token[place] if said.count(said[0]) == 1 else ""
    assert found == ""


def _said_to_guesses(it: Siege, known: str, right: str) -> list[str]:
    """Name a key that goes on as the token does, and some that do not, and return what is said to each."""
    keys = [f"x{known}{letter}" for letter in dict.fromkeys([right, *"Ae0_9zQ"])]
    for number, key in enumerate(keys):
        made = token_connection(f"o-{number}", it.evil.url, tls={"caSecretRef": {"name": "own", "key": key}})
        it.mallory.create(made)

    def messages() -> list[str]:
        told = [it.mallory.get("EvsConnection", f"o-{number}") for number in range(len(keys))]
        ready = [condition(one["status"], "Ready") if is_told(one) else {} for one in told]
        return [str(one["message"]) for one in ready if one.get("reason") == "SecretKeyMissing"]

    eventually(lambda: len(messages()) == len(keys), 20)
    return [
        named(message, key, f"o-{number}") for number, (message, key) in enumerate(zip(messages(), keys, strict=True))
    ]


def test_the_texts_of_a_shared_credential_tell_nothing_of_a_guess_within_it(it: Siege) -> None:
    it.share("shared")
    ref = {"connectionRef": {"kind": "ClusterEvsConnection", "name": "shared"}}
    texts: dict[str, list[str]] = {}
    for at in (0, 8, 16, 30):
        piece = SHARED_TOKEN[at : at + 25]
        for form, write in FORMS.items():
            right = write(piece)
            texts[f"{at}, {form}"] = [right, wrong(right), write(wrong(piece))]
    made = []
    for number, three in enumerate(texts.values()):
        for letter, text in zip("abc", three, strict=True):
            job_id = f"{number:031x}{letter}"
            it.cloud.put(job_id, {**body("SUCCESS", entities={"name": f"disk {text} x"}), "job_id": job_id})
            made.append(job(f"{letter}-{number}", job_id, **ref))
    with it.others_go_on():
        it.mallory.create(*made)
        eventually(lambda: all("jobStatus" in o.get("status", {}) for o in it.mallory.list("EvsJob").values()), 60)
    found = it.mallory.list("EvsJob")
    for number, (what, three) in enumerate(texts.items()):
        names = [found[f"{letter}-{number}"]["status"]["entities"]["name"] for letter in "abc"]
        shapes = {named(name, text) for name, text in zip(names, three, strict=True)}
        assert len(shapes) == 1, (what, names)


def test_a_shared_credential_that_stands_whole_in_a_text_is_masked(it: Siege) -> None:
    it.share("shared")
    it.cloud.put("b" * 32, {**body("SUCCESS", entities={"name": f"disk {SHARED_TOKEN} x"}), "job_id": "b" * 32})
    it.mallory.create(job("whole", "b" * 32, connectionRef={"kind": "ClusterEvsConnection", "name": "shared"}))
    status = it.mallory.wait_reason("EvsJob", "whole", "JobSucceeded")
    assert status["entities"]["name"].startswith("disk ***")
    assert SHARED_TOKEN[:8] not in str(status)
