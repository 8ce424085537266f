"""The EVS API itself: the job query, and the calls that make jobs (docs/reference/jobs-api.md#job-types).

`routes` picks the function for a path and passes the decoded parts of it. Each returns an answer or raises
`RefusalError`. Authentication comes first in every one, then the project, then what is asked for.
"""

from __future__ import annotations

from evs_simulator.envelopes import cinder_error, evs_error
from evs_simulator.gateway import authenticate, check_project
from evs_simulator.ids import volume_id
from evs_simulator.wire import Answer, RefusalError, Request, json_answer
from evs_simulator.world import World

from .creation import VOLUME_TYPES, Wanted, failure, read_creation
from .job import Job
from .plans import Plan
from .render import body
from .volumes import DELETABLE, Volume


def get_job(world: World, request: Request, project_id: str, job_id: str) -> Answer:
    """Answer the job query. An unknown, expired or vanished job, or one of another project: 400 Common.0011."""
    check_project(world, authenticate(world, request), project_id)
    now = world.clock.now()
    job = world.jobs.find(job_id, now, world.settings.retention)
    if job is None or job.project_id != project_id:
        return evs_error(400, "Common.0011", "query job fail.")
    return job.raw or Answer(200, body(job, now))


def create(world: World, request: Request, project_id: str) -> Answer:
    """Start a createVolume or batchCreateVolume job; prepaid volumes come with an order instead of a job."""
    check_project(world, authenticate(world, request), project_id)
    wanted = read_creation(request.json())
    if wanted.prepaid:
        return json_answer(200, {"order_id": f"CS{world.ids.job()[-12:].upper()}"})
    job = world.submit(wanted.plan, project_id)
    made = zip(job.sub_jobs or (job,), wanted.plan.sub_jobs or (wanted.plan,), strict=True)
    volume_ids = [_keep(world, one, plan, wanted) for one, plan in made]
    answer: dict[str, object] = {"job_id": job.job_id}
    if world.settings.volume_ids:
        answer["volume_ids"] = volume_ids
    return json_answer(202 if request.path.startswith("/v2.1/") else 200, answer)


def show(world: World, request: Request, project_id: str, wanted_id: str) -> Answer:
    """Show a volume; 404 itemNotFound while its creation is in INIT."""
    check_project(world, authenticate(world, request), project_id)
    now = world.clock.now()
    volume = world.volumes.get(wanted_id)
    if volume is None or volume.project_id != project_id or volume.status(now) is None:
        return cinder_error(404, f"Volume {wanted_id} could not be found.", 404)
    return json_answer(200, {"volume": volume.as_json(now)})


def delete(world: World, request: Request, project_id: str, wanted_id: str) -> Answer:
    """Start a deleteVolume job."""
    volume = _existing(world, request, project_id, wanted_id)
    if volume.status(world.clock.now()) not in DELETABLE:
        states = "available, error, error_extending, error_restoring, error_rollbacking"
        return evs_error(400, "EVS.1046", f"volume status must be {states} when delete volume!")
    return json_answer(200, {"job_id": _operate(world, volume, "deleteVolume", {}).job_id})


def action(world: World, request: Request, project_id: str, wanted_id: str) -> Answer:
    """Start an extendVolume job (`os-extend`)."""
    volume = _existing(world, request, project_id, wanted_id)
    asked = (request.json() or {}).get("os-extend")
    size = asked.get("new_size") if isinstance(asked, dict) else None
    if not isinstance(size, int):
        return evs_error(400, "EVS.1011", "null extendVolumeReq!")
    if volume.status(world.clock.now()) != "available":
        return evs_error(400, "EVS.1064", "volume status must be available or in-use when extending!")
    if size <= volume.size:
        return evs_error(400, "EVS.1015", "new volume Size must be greater than old Size!")
    return json_answer(200, {"job_id": _operate(world, volume, "extendVolume", {"size": size}).job_id})


def retype(world: World, request: Request, project_id: str, wanted_id: str) -> Answer:
    """Start a retypeVolume job (`os-retype`)."""
    volume = _existing(world, request, project_id, wanted_id)
    asked = (request.json() or {}).get("os-retype")
    kind = asked.get("new_type") if isinstance(asked, dict) else None
    if kind not in VOLUME_TYPES:
        return evs_error(400, "EVS.2070", "VolumeTypes are not supported !")
    if volume.status(world.clock.now()) != "available" or kind == volume.volume_type:
        text = "retype failed. please make sure that type is supported and the new one is higher than origin"
        return evs_error(400, "EVS.2087", text)
    return json_answer(202, {"job_id": _operate(world, volume, "retypeVolume", {"volume_type": kind}).job_id})


def _existing(world: World, request: Request, project_id: str, wanted_id: str) -> Volume:
    check_project(world, authenticate(world, request), project_id)
    volume = world.volumes.get(wanted_id)
    now = world.clock.now()
    if volume is None or volume.project_id != project_id or volume.status(now) is None:
        text = f"Resource(Volume {wanted_id}) cound not be found."  # the real service spells it so
        raise RefusalError(evs_error(404, "EVS.5404", text))
    volume.settle(now)
    return volume


def _operate(world: World, volume: Volume, job_type: str, changes: dict[str, int | str]) -> Job:
    code = failure(volume.metadata, job_type.removesuffix("Volume"))
    shown = {"volume_id": volume.volume_id, "name": volume.name, "size": volume.size, "volume_type": volume.volume_type}
    job = world.submit(Plan(job_type, error_code=code, volume={**shown, **changes}), volume.project_id)
    volume.start(job, changes)
    return job


def _keep(world: World, job: Job, plan: Plan, wanted: Wanted) -> str:
    made = volume_id(job.job_id)
    world.volumes[made] = Volume(
        volume_id=made,
        project_id=job.project_id,
        name=str(plan.volume["name"]),
        size=wanted.size,
        volume_type=str(plan.volume["volume_type"]),
        availability_zone=wanted.availability_zone,
        metadata=wanted.metadata,
        created_by=job,
    )
    return made
