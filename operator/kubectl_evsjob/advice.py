"""What to do next about an EvsJob, as commands that can be pasted. Pure: decided by its state and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from evs_operator import api
from evs_operator.api import JobState
from evs_operator.api.stored import mapping

from .selection import key_of

Object = Mapping[str, Any]

_CREDENTIAL: Final = frozenset(
    (api.Reason.UNAUTHORIZED, api.Reason.FORBIDDEN, api.Reason.CREDENTIALS_INVALID, api.Reason.ENDPOINT_INVALID)
)
_JOB: Final = frozenset((api.Reason.JOB_NOT_FOUND, api.Reason.JOB_RECORD_EXPIRED, api.Reason.WRONG_PROJECT))


def next_steps(obj: Object, cluster: str = "") -> list[tuple[str, str]]:
    """Return what to do and the command for it, the most useful first; the command is "" if none does it.

    `cluster` is what commands have at their end to reach the cluster that the EvsJob is in.
    """
    steps = _steps(obj)
    return [(what, f"{command}{cluster}" if command.startswith("kubectl ") else command) for what, command in steps]


def _steps(obj: Object) -> list[tuple[str, str]]:
    namespace, name = key_of(obj)
    within = f" -n {namespace}" if namespace else ""
    match api.state(obj):
        case JobState.COMPLETE:
            return [("read the ids of the volumes", _jsonpath(name, within, "{.status.volumeIds[*]}"))]
        case JobState.FAILED:
            return [
                ("remove the cause, submit the operation again, and follow the new job", ""),
                ("see what was made all the same", _jsonpath(name, within, "{.status.volumeIds[*]}")),
                ("delete this record once it is of no use", f"kubectl delete evsjob {name}{within}"),
            ]
        case JobState.SUSPENDED:
            return [("go on", f"kubectl evsjob resume {name}{within}")]
        case JobState.ACTION_REQUIRED:
            return _for_a_person(obj, name, within)
        case JobState.PENDING:
            return [
                ("wait", f"kubectl evsjob wait {name}{within}"),
                ("if it stays so, see whether an operator is at work", "evs-operator check"),
            ]
        case _:
            return [("wait", f"kubectl evsjob wait {name}{within}")]


def _for_a_person(obj: Object, name: str, within: str) -> list[tuple[str, str]]:
    reason = api.reason(obj)
    steps = []
    if reason in _CREDENTIAL or reason in (api.Reason.CONNECTION_NOT_FOUND, api.Reason.CONNECTION_NOT_ALLOWED):
        steps.append(("look at the connection", _describe(obj, within)))
        steps.append(("once it is mended the operator goes on by itself; to ask at once", _ask(name, within)))
    elif reason in _JOB:
        steps.append(
            ("compare job id and project with the cloud's answer", f"kubectl get evsjob {name}{within} -o yaml")
        )
        steps.append(("ask once more", _ask(name, within)))
    elif reason == api.Reason.DEADLINE_EXCEEDED:
        steps.append(("wait on, whatever the deadline", f"kubectl evsjob wait {name}{within} --keep-waiting"))
    else:
        steps.append(("once the cause is removed, ask at once", _ask(name, within)))
    return steps


def _describe(obj: Object, within: str) -> str:
    used = mapping(mapping(obj.get("status")).get("connection"))
    if used.get("kind") == api.CLUSTER_EVS_CONNECTION:
        return f"kubectl describe clusterevsconnection {used.get('name', 'default')}"
    return f"kubectl describe evsconnection {used.get('name', 'default')}{within}"


def _ask(name: str, within: str) -> str:
    return f"kubectl evsjob reconcile {name}{within} --wait"


def _jsonpath(name: str, within: str, path: str) -> str:
    return f"kubectl get evsjob {name}{within} -o jsonpath='{path}'"
