"""The limits that docs/security.md states are those of the code, figure by figure."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature

import pytest

from evs_operator.api import connection, object_names, pem
from evs_operator.cloud import body, budget, client, names, network, wire
from evs_operator.cloud.auth import iam
from evs_operator.connections import connection as used_connection
from evs_operator.connections import secret_refresh, verification
from evs_operator.connections.credential import secret_reader
from evs_operator.core import observation, result
from evs_operator.core.schedule.durations import Durations
from evs_operator.evs import job
from evs_operator.jobs.queue import dispatcher
from evs_operator.kube import api, event_queue, events, listing, secret
from evs_operator.observe import guarded_site
from evs_operator.redact import held_values, redaction
from support.deployed import ROOT


def _kib(number: int) -> str:
    return f"{number // 1024} KiB"


def _mib(number: int) -> str:
    return f"{number // 1024**2} MiB"


def _s(number: float) -> str:
    return f"{number:.0f} s"


FIGURES: dict[str, Callable[[], list[str]]] = {
    "value of a Secret": lambda: [_kib(secret.MOST_BYTES)],
    "CA certificates": lambda: [_kib(pem.MOST_BYTES), _kib(connection._MOST_BUNDLE)],
    "names that a message quotes": lambda: [str(object_names._SHOWN)],
    "list of the API server": lambda: [_mib(listing.PAGE_BYTES), _mib(api.ANSWER_BYTES)],
    "answer of a cloud": lambda: [_mib(client.MAX_BODY), _kib(wire._MAX_HEADER)],
    f"answers above {_kib(wire._SMALL)} that are read at a time": lambda: [
        str(default.default) for default in list(signature(network.LargeAnswers).parameters.values())[:2]
    ],
    "values in an answer": lambda: [f"{body.MOST_VALUES:,}"],
    "sub-jobs": lambda: [f"{job.MAX_SUB_JOBS:,}", str(job.MAX_DEPTH), str(result.MAX_SUB_JOBS)],
    "text of an answer": lambda: [f"{job.KEPT_CHARACTERS:,}", f"{observation.MESSAGE_LIMIT:,}", str(job.MAX_ENTITIES)],
    "volume ids shown": lambda: [str(result.MAX_VOLUME_IDS)],
    "status of an EvsJob": lambda: ["256 KiB"],
    "workers": lambda: [str(dispatcher.WORKERS), str(budget.FIRST_IN_FLIGHT), str(budget.MOST_IN_FLIGHT)],
    "sockets to clouds": lambda: [str(network.OF_TURN), f"{network.IN_ALL:,}"],
    "clients": lambda: [str(used_connection._CLIENTS)],
    "tokens of IAM": lambda: [str(iam._OF_NAMESPACE), str(iam._IN_ALL)],
    "name look-ups": lambda: [str(names._OF_TURN), str(names._IN_ALL), _s(names._LONGEST), _s(names._FAILED_FOR)],
    "verifications": lambda: [str(verification._AT_ONCE)],
    "Secret reads": lambda: [
        *(str(secret_refresh._OF_NAMESPACE), str(secret_refresh._AT_ONCE), _s(secret_reader._PATIENCE)),
    ],
    "Events that wait": lambda: [str(events._QUEUE), f"{events._QUEUE * event_queue._NAMESPACES:,}"],
    "values that logs are redacted with": lambda: [_mib(held_values._MOST_OF_ONE), _mib(held_values._MOST)],
    "values of a credential that answers are redacted with": lambda: [f"{redaction._MOST_OF_CALL // 1024} Ki"],
    "what is redacted of an answer": lambda: [_kib(redaction.MOST_OF_ANSWER)],
    "learned durations": lambda: [f"{signature(Durations).parameters['max_keys'].default:,}"],
    "connections to port 8080": lambda: [str(guarded_site.PLACES), _s(guarded_site.QUIET)],
}


def _rows() -> dict[str, str]:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.split("\n## Limits\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {row[0].removeprefix("| "): " | ".join(row[1:]) for row in rows}


def test_the_page_states_these_limits_and_no_other() -> None:
    assert list(_rows()) == list(FIGURES)


@pytest.mark.parametrize("what", FIGURES)
def test_the_page_states_the_figure_of_the_code_for(what: str) -> None:
    for figure in FIGURES[what]():
        assert re.search(rf"(?<![\d,]){re.escape(figure)}(?![\d,]*\d)", _rows()[what]), figure
