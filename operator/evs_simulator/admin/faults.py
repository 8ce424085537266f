"""Admin calls about what goes wrong: faults and the throttle."""

from __future__ import annotations

import math

from evs_simulator.fault_kinds import AROUND, INSTEAD
from evs_simulator.faults import Fault, Match
from evs_simulator.limiter import POLICIES, Limit
from evs_simulator.options import Options
from evs_simulator.wire import json_answer

from .call import AdminCall

_FIELDS = frozenset({"kind", "match", "skip", "count", "probability", "from", "for"})
_MATCH = ("method", "path", "project_id", "job_id")


def add_fault(call: AdminCall) -> object:
    """Put a fault into force. It is tried once, so that a wrong option is refused here and not when it hits."""
    options = call.options
    kind = options.text("kind", "")
    matched = call.given.get("match", {})
    if not isinstance(matched, dict) or not matched.keys() <= set(_MATCH):
        raise ValueError(f"match is not an object with {', '.join(_MATCH)}")
    fault = Fault(
        fault_id=f"fault-{call.request.request_id[-6:]}",
        kind=kind,
        match=Match(**{name: Options(matched).text(name, "") for name in matched}),
        options={name: value for name, value in call.given.items() if name not in _FIELDS},
        skip=options.whole("skip", 0),
        count=None if call.given.get("count") is None else options.whole("count", 1),
        probability=options.number("probability", 1.0),
        since=call.now + options.number("from", 0.0),
        until=call.now + options.number("from", 0.0) + options.number("for", math.inf),
    )
    tried = Options(fault.options)
    if kind in INSTEAD:
        INSTEAD[kind](tried, call.request)
    elif kind in AROUND:
        AROUND[kind](tried, json_answer(200, {"job_id": ""}))
    else:
        raise ValueError(f"kind is {kind!r}, not one of {', '.join([*INSTEAD, *AROUND])}")
    if unread := tried.unread():
        raise ValueError(f"{', '.join(sorted(unread))}: {kind} has no such option")
    call.world.faults.add(fault)
    return {"id": fault.fault_id}


def list_faults(call: AdminCall) -> object:
    """List all faults with their hits."""
    return {"faults": [fault.as_json() for fault in call.world.faults.listed()]}


def remove_faults(call: AdminCall) -> object:
    """Remove the fault with the id in the path, or all."""
    return {"removed": call.world.faults.remove(call.which or None)}


def set_limit(call: AdminCall) -> object:
    """Set the throttle."""
    call.only("limit", "seconds", "policy", "retry_after")
    policy = call.options.text("policy", "api")
    if policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}, not one of {', '.join(POLICIES)}")
    retry_after = call.options.text("retry_after", "") or None
    call.world.limit = Limit(call.options.whole("limit", 200), call.options.whole("seconds", 300), policy, retry_after)
    return {}


def clear_limit(call: AdminCall) -> object:
    """Take the throttle away."""
    call.world.limit = None
    return {}
