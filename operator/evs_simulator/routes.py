"""Which function answers which path, and everything that comes before it.

`answer` is the whole simulated cloud as one function: the admin API by its prefix; else a fault, the paths that
exist (404 APIGW.0101 for others), the size of the headers, the throttle, the call itself. Which layer of the real
cloud checks in which order is an assumption: docs/reference/jobs-api.md#what-the-simulator-assumes.
"""

from __future__ import annotations

from collections.abc import Callable

from evs_simulator.admin.api import answer_admin

from .envelopes import gateway_error
from .fault_kinds import AROUND, INSTEAD
from .faults import Fault
from .gateway import check_headers
from .iam import temporary, tokens
from .jobs import calls, volume_lists
from .options import Options
from .wire import Answer, RefusalError, Request
from .world import World

ADMIN_PREFIX = "/_sim/"

_Call = Callable[[World, Request], Answer]
_EvsCall = Callable[..., Answer]

_FIXED: dict[tuple[str, str], _Call] = {
    ("POST", "/v3/auth/tokens"): tokens.create_token,
    ("GET", "/v3/auth/tokens"): tokens.show_token,
    ("GET", "/v3/projects"): tokens.list_projects,
    ("POST", "/v3.0/OS-CREDENTIAL/securitytokens"): temporary.security_token,
    ("POST", "/v3.0/OS-AUTH/id-token/tokens"): temporary.id_token,
    ("PUT", "/meta-data/latest/api/token"): temporary.metadata_token,
    ("GET", "/openstack/latest/securitykey"): temporary.metadata_key,
}
# Method, versions, path with * for a part: the first * is the project.
_EVS: list[tuple[str, tuple[str, ...], tuple[str, ...], _EvsCall]] = [
    ("GET", ("v1", "v2"), ("*", "jobs", "*"), calls.get_job),
    ("POST", ("v2", "v2.1"), ("*", "cloudvolumes"), calls.create),
    ("GET", ("v2", "v3"), ("*", "cloudvolumes", "detail"), volume_lists.cloud_volumes),
    ("GET", ("v2", "v3"), ("*", "cloudvolumes", "*"), calls.show),
    ("DELETE", ("v2",), ("*", "cloudvolumes", "*"), calls.delete),
    ("POST", ("v2", "v2.1"), ("*", "cloudvolumes", "*", "action"), calls.action),
    ("POST", ("v2",), ("*", "volumes", "*", "retype"), calls.retype),
    # what the URLs of the catalogue lead to
    ("GET", ("v2", "v3"), ("*",), volume_lists.version),
    ("GET", ("v2", "v3"), ("*", "volumes"), volume_lists.cinder_names),
    ("GET", ("v2", "v3"), ("*", "volumes", "detail"), volume_lists.cinder_volumes),
    ("GET", ("v2", "v3"), ("*", "volumes", "*"), calls.show),
]


def answer(world: World, request: Request) -> Answer:
    """Answer a request, whatever it is, and note it in the journal."""
    if request.path.startswith(ADMIN_PREFIX):
        return answer_admin(world, request)
    now = world.clock.now()
    fault = world.faults.pick(request, now)
    try:
        given = _with_fault(world, request, fault)
    except RefusalError as refusal:
        given = refusal.answer
    if fault is not None and fault.kind in AROUND:
        given = AROUND[fault.kind](Options(fault.options), given)
    world.journal.note(request, given.status, now, None if fault is None else fault.fault_id)
    return given


def _with_fault(world: World, request: Request, fault: Fault | None) -> Answer:
    if fault is not None and fault.kind in INSTEAD:
        return INSTEAD[fault.kind](Options(fault.options), request)
    call = _find(world, request)
    if call is None:
        return gateway_error(
            request, 404, "APIGW.0101", "The API does not exist or has not been published in the environment"
        )
    check_headers(request)
    if world.limit is not None:
        refused = world.limit.take(request, world.clock.now())
        if refused is not None:
            return refused
    return call(world, request)


def _find(world: World, request: Request) -> _Call | None:
    if world.settings.host and request.header("Host") != world.settings.host:
        return None
    fixed = _FIXED.get((request.method, request.path))
    if fixed is not None:
        return fixed
    version, *rest = request.segments() or [""]
    for method, versions, pattern, call in _EVS:
        if request.method == method and version in versions and len(rest) == len(pattern):
            given = [part for part, wanted in zip(rest, pattern, strict=True) if wanted == "*"]
            if all(wanted in ("*", part) for part, wanted in zip(rest, pattern, strict=True)) and all(given):
                return lambda world, request: call(world, request, *given)
    return None
