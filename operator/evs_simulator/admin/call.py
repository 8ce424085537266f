"""One call of the admin API, as its functions get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from evs_simulator.options import Options
from evs_simulator.wire import Request
from evs_simulator.world import World


@dataclass(frozen=True, slots=True)
class AdminCall:
    """`given` is the body's JSON object ({} without a body), `which` the part of the path after the collection."""

    world: World
    request: Request
    given: Mapping[str, object]
    which: str

    @property
    def now(self) -> float:
        """The simulated time in seconds since 1970."""
        return self.world.clock.now()

    @property
    def options(self) -> Options:
        """The body's fields, each read with its type."""
        return Options(self.given)

    def asked(self, name: str, default: str) -> str:
        """Return a parameter of the query."""
        return parse_qs(self.request.query).get(name, [default])[0]

    def only(self, *names: str) -> None:
        """Refuse fields with other names. Raises ValueError."""
        if unknown := self.given.keys() - set(names):
            raise ValueError(f"{', '.join(sorted(unknown))}: no such field; there are {', '.join(names)}")
