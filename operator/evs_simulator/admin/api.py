"""The admin API under `/_sim/`: make jobs, faults and accounts, move the clock, read the journal.

JSON in, JSON out, no authentication. What is wrong with a call is said in `{"error": …}` with 400 or 404. The paths
and their fields are described in README.md beside this file. Nothing here is part of the simulated cloud, and none
of it is noted in the journal. A new call is one function and one entry in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evs_simulator import settings
from evs_simulator.clock import millis
from evs_simulator.wire import Answer, Request, json_answer
from evs_simulator.world import World

from . import accounts, faults, jobs
from .call import AdminCall


def answer_admin(world: World, request: Request) -> Answer:
    """Answer a call of the admin API."""
    name, *rest = request.segments()[1:]
    function = _CALLS.get((request.method, name))
    if function is None or len(rest) > 1:
        return json_answer(404, {"error": f"no admin call {request.method} {request.path}"})
    given = request.json() if request.body else {}
    if given is None:
        return json_answer(400, {"error": "the body is not a JSON object"})
    try:
        return json_answer(200, function(AdminCall(world, request, given, "".join(rest))))
    except LookupError as error:
        return json_answer(404, {"error": str(error.args[0])})
    except ValueError as error:
        return json_answer(400, {"error": str(error)})


def _show_requests(call: AdminCall) -> object:
    limit = int(call.asked("limit", "10000"))
    entries = call.world.journal.entries(call.asked("path", ""), limit)
    return {
        "total": call.world.journal.total,
        "by_status": call.world.journal.counts(),
        "requests": [entry.as_json() for entry in entries],
    }


def _clear_requests(call: AdminCall) -> object:
    call.world.journal.clear()
    return {}


def _move_clock(call: AdminCall) -> object:
    call.only("offset", "advance", "stopped")
    clock = call.world.clock
    for name, move in (("offset", clock.set_offset), ("advance", clock.advance)):
        if name in call.given:
            move(call.options.change(name))
    if "stopped" in call.given:
        (clock.stop if call.options.flag("stopped", False) else clock.start)()
    return _show_clock(call)


def _show_clock(call: AdminCall) -> object:
    clock = call.world.clock
    return {"now": millis(clock.now()), "seconds": clock.now(), "offset": clock.offset, "stopped": clock.stopped}


def _change_settings(call: AdminCall) -> object:
    call.world.settings = settings.change(call.world.settings, call.given)
    return _show_settings(call)


def _show_settings(call: AdminCall) -> object:
    return settings.as_json(call.world.settings)


def _health(call: AdminCall) -> object:
    world = call.world
    return {"status": "ok", "jobs": len(world.jobs), "volumes": len(world.volumes), "requests": world.journal.total}


def _reset(call: AdminCall) -> object:
    call.world.reset()
    call.world.journal.clear()
    return {}


_CALLS: Mapping[tuple[str, str], Callable[[AdminCall], object]] = {
    ("POST", "jobs"): jobs.add_jobs,
    ("PUT", "jobs"): jobs.change_job,
    ("GET", "jobs"): jobs.show_job,
    ("DELETE", "jobs"): jobs.remove_job,
    ("POST", "faults"): faults.add_fault,
    ("GET", "faults"): faults.list_faults,
    ("DELETE", "faults"): faults.remove_faults,
    ("PUT", "limit"): faults.set_limit,
    ("DELETE", "limit"): faults.clear_limit,
    ("POST", "projects"): accounts.add_project,
    ("POST", "users"): accounts.add_user,
    ("POST", "tokens"): accounts.add_token,
    ("DELETE", "tokens"): accounts.remove_token,
    ("POST", "access_keys"): accounts.add_access_key,
    ("GET", "requests"): _show_requests,
    ("DELETE", "requests"): _clear_requests,
    ("POST", "clock"): _move_clock,
    ("GET", "clock"): _show_clock,
    ("PUT", "settings"): _change_settings,
    ("GET", "settings"): _show_settings,
    ("GET", "health"): _health,
    ("POST", "reset"): _reset,
}
