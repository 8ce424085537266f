"""Lists of volumes: EVS's own `cloudvolumes/detail`, and those of Cinder that the catalogue's URLs promise.

`routes` picks the function for a path, as in `calls`. Volumes come in the order in which they were made; one whose
creation is in INIT is not there yet. Deliberately not done: the links to the next page that Cinder adds.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from evs_simulator.envelopes import evs_error
from evs_simulator.gateway import authenticate, check_project
from evs_simulator.wire import Answer, RefusalError, Request, json_answer
from evs_simulator.world import World

from .volumes import Volume

_LIMIT = 1000


def cloud_volumes(world: World, request: Request, project_id: str) -> Answer:
    """List volumes in full, with the number of all that match; `limit`, `offset`, `marker`, `name`, `status`, `id`."""
    found, page = _page(world, request, project_id)
    now = world.clock.now()
    return json_answer(200, {"count": len(found), "volumes": [volume.as_json(now) for volume in page]})


def cinder_volumes(world: World, request: Request, project_id: str) -> Answer:
    """List volumes in full, as Cinder does."""
    _, page = _page(world, request, project_id)
    now = world.clock.now()
    return json_answer(200, {"volumes": [volume.as_json(now) for volume in page]})


def cinder_names(world: World, request: Request, project_id: str) -> Answer:
    """List ids and names of volumes, as Cinder does."""
    _, page = _page(world, request, project_id)
    return json_answer(
        200, {"volumes": [{"id": volume.volume_id, "name": volume.name, "links": []} for volume in page]}
    )


def version(world: World, request: Request, project_id: str) -> Answer:
    """Answer a URL of the catalogue itself: which version of the API it leads to."""
    check_project(world, authenticate(world, request), project_id)
    name, *_ = request.segments()
    return json_answer(200, {"version": {"id": name, "status": "CURRENT", "links": []}})


def _page(world: World, request: Request, project_id: str) -> tuple[list[Volume], list[Volume]]:
    """Return all volumes that match the query, and those of the page that it asks for."""
    check_project(world, authenticate(world, request), project_id)
    asked = {name: values[0] for name, values in parse_qs(request.query).items()}
    now = world.clock.now()
    found = []
    for volume in world.volumes.values():
        status = volume.status(now)
        shown = {"id": volume.volume_id, "name": volume.name, "status": status}
        if volume.project_id == project_id and status and all(asked.get(k, v) == v for k, v in shown.items()):
            found.append(volume)
    return found, _after(asked.get("marker"), found)[_number(asked, "offset", 0) :][: _number(asked, "limit", _LIMIT)]


def _after(marker: str | None, volumes: list[Volume]) -> list[Volume]:
    ids = [volume.volume_id for volume in volumes]
    if marker is not None and marker not in ids:
        raise RefusalError(evs_error(400, "EVS.1024", "invalid filter marker!"))
    return volumes[ids.index(marker) + 1 :] if marker is not None else volumes


def _number(asked: dict[str, str], name: str, default: int) -> int:
    value = asked.get(name, str(default))
    if not (value.isascii() and value.isdigit()) or (name == "limit" and not 1 <= int(value) <= _LIMIT):
        raise RefusalError(evs_error(400, "EVS.1018", "Type conversion error , parameter type is unexpected"))
    return int(value)
