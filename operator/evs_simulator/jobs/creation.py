"""From the body of a creation call to the plan of its job.

A body as EVS takes it (`{"volume": {…}}`, `count` for several) gives a createVolume job, or a batchCreateVolume job
with one sub-job per volume, named `-0001`, `-0002` and so on. Keys in the volume's metadata make jobs fail or slow,
so that a demonstration needs nothing but `curl`:

- `__sim_fail: CODE`: every volume fails with this code;
- `__sim_fail_some: CODE`: the last volume of a batch fails; `1,3:CODE`: the first and the third;
- `__sim_fail_extend`, `__sim_fail_retype`, `__sim_fail_delete: CODE`: that later call's job fails (see `calls`);
- `__sim_duration: SECONDS`: each volume takes so long, at normal speed;
- `__sim_variants: NAME,NAME`: the job's body is odd (`variants`).

An availability zone that ends in `-09` fails as the real service does for one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from evs_simulator.envelopes import evs_error
from evs_simulator.options import Options
from evs_simulator.wire import RefusalError

from .plans import Plan
from .variants import read_variants

_MOST_VOLUMES = 100
_LARGEST_GB = 32_768
VOLUME_TYPES = ("SATA", "SAS", "SSD", "GPSSD", "GPSSD2", "ESSD", "ESSD2", "co-p1", "uh-l1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a creation call asks for: the plan, and the volumes it makes (one per job without sub-jobs)."""

    plan: Plan
    size: int
    availability_zone: str
    metadata: Mapping[str, str]
    prepaid: bool


def read_creation(body: Mapping[str, object] | None) -> Wanted:
    """Read the body of a creation call. Raises RefusalError as EVS refuses it."""
    if body is None:
        raise _refused("EVS.5400", "Malformed request body.")
    volume = body.get("volume")
    if not isinstance(volume, dict):
        raise _refused("EVS.1008", "null createVolumeReq!")
    size, count = volume.get("size"), volume.get("count", 1)
    if not _whole(size) or not 1 <= size <= _LARGEST_GB:
        raise _refused("EVS.1010", "invalid volume size!")
    if not _whole(count) or not 1 <= count <= _MOST_VOLUMES:
        raise _refused("EVS.1021", "the quantity of volume is invalid!")
    if volume.get("volume_type", "SAS") not in VOLUME_TYPES:
        raise _refused("EVS.1020", "invalid volume type!")
    name = volume.get("name", "volume")
    metadata = volume.get("metadata") or {}
    if not isinstance(name, str):
        raise _refused("EVS.1003", "invalid volume name!")
    if not isinstance(metadata, dict):
        raise _refused("EVS.1018", "Type conversion error , parameter type is unexpected")
    metadata = {str(key): str(value) for key, value in metadata.items()}
    zone = str(volume.get("availability_zone", "eu-de-01"))
    one = _one_volume(zone, metadata, {"size": size, "volume_type": volume.get("volume_type", "SAS")})
    plan = _batch(one, name, count, metadata) if count > 1 else _named(one, name)
    payment = body.get("bssParam")
    prepaid = isinstance(payment, dict) and payment.get("chargingMode") == "prePaid"
    return Wanted(plan, size, zone, metadata, prepaid)


def failure(metadata: Mapping[str, str], operation: str) -> str | None:
    """Return the code with which this later operation on a volume shall fail."""
    return metadata.get(f"__sim_fail_{operation}")


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_volume(zone: str, metadata: Mapping[str, str], volume: Mapping[str, object]) -> Plan:
    code = metadata.get("__sim_fail") or ("EVS.5400" if zone.endswith("-09") else None)
    try:
        seconds = {name: float(text) for name, text in metadata.items() if name == "__sim_duration"}
        duration = Options(seconds).number("__sim_duration", 0.0) if seconds else None
        variants = read_variants(metadata.get("__sim_variants"))
    except ValueError as error:
        raise _refused("EVS.1058", f"invalid metadata filter! {error}") from error
    return Plan("createVolume", error_code=code, duration=duration, volume=volume, variants=variants)


def _named(one: Plan, name: str) -> Plan:
    return replace(one, volume={"name": name, **one.volume})


def _batch(one: Plan, name: str, count: int, metadata: Mapping[str, str]) -> Plan:
    numbers, code = _some(metadata.get("__sim_fail_some", ""), count)
    failing = replace(one, error_code=code)
    subs = tuple(_named(failing if n in numbers else one, f"{name}-{n:04d}") for n in range(1, count + 1))
    return Plan("batchCreateVolume", sub_jobs=subs, variants=one.variants)


def _some(text: str, count: int) -> tuple[set[int], str]:
    which, colon, code = text.rpartition(":")
    if not colon:
        return ({count} if code else set()), code
    try:
        return {int(number) for number in which.split(",")}, code
    except ValueError as error:
        raise _refused("EVS.1058", f"invalid metadata filter! __sim_fail_some: {text}") from error


def _refused(code: str, message: str) -> RefusalError:
    return RefusalError(evs_error(400, code, message))
