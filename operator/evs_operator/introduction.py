"""What an operator with these settings is: the first line of its log, and the endpoints that it may call.

Called by `runtime.supervisor` at the start and by `cli` for `evs-operator endpoints`. Settings become text; nothing is
resolved or called, and what is allowed is `cloud.endpoints`' to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

from evs_operator import __version__
from evs_operator.cloud.endpoints import DEFAULT_DOMAINS, DEFAULT_HOSTS
from evs_operator.observe.tracing import receiver_of

from .settings import Settings

_BY_DEFAULT: Final = "by default: {}"
_NAMED: Final = "named with --allow-endpoint"


def introduction(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return one line: version, namespaces, allow-list, and what is switched on."""
    namespaces = ", ".join(settings.namespaces) or "all"
    return (
        f"evs-operator {__version__}: namespaces: {namespaces}; endpoints: {_endpoints(settings)}; "
        f"switched on: {', '.join(_switched_on(settings, environ)) or 'nothing'}"
    )


def endpoint_lines(settings: Settings) -> list[str]:
    """Return one line for each endpoint that connections may name: the endpoint, and why it is allowed."""
    allowed = []
    if settings.default_endpoints:
        for cloud, domain in DEFAULT_DOMAINS:
            allowed += [(f"https://{host}{domain}", _BY_DEFAULT.format(cloud)) for host in DEFAULT_HOSTS]
    allowed += [(endpoint, _NAMED) for endpoint in settings.allow_endpoints]
    width = max((len(endpoint) for endpoint, _ in allowed), default=0)
    return [f"{endpoint:{width}}  {why}" for endpoint, why in allowed]


def _endpoints(settings: Settings) -> str:
    parts = []
    if settings.default_endpoints:
        for cloud, domains in groupby(DEFAULT_DOMAINS, lambda each: each[0]):
            below = ", ".join(domain.removeprefix(".") for _, domain in domains)
            parts.append(f"{cloud} (EVS and IAM below {below})")
    return ", ".join([*parts, *settings.allow_endpoints]) or "none, so that no connection works"


def _switched_on(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    switched = [("leader election", settings.leader_elect), ("tracing", receiver_of(environ) is not None)]
    return [name for name, on in switched if on] + [f"auth.{kind}" for kind in settings.allow_auth]
