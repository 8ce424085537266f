"""The ways in which a job may differ from the usual one, selectable per job (docs/reference/jobs-api.md#the-job).

`read_variants` turns names, as they come in an admin call or in volume metadata, into `Variants`; `render` obeys them.
Each name is one way of being odd that a client must survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evs_simulator.options import Options

TIME_STYLES = ("millis", "no_fraction", "blank", "micros", "no_zone", "empty", "null", "absent", "garbage")
ENTITIES = ("null", "absent", "list")
SUB_JOBS = ("null", "empty_string", "empty_list", "absent", "top_level")

_LONGEST_REASON = 16_384  # kB
_FLAGS = ("omit_null_errors", "back_to_init", "success_parent_failed_child")
# Names of variants that stand for a field and its value.
_FORMS: Mapping[str, tuple[str, str]] = {
    **{f"entities_{form}": ("entities", form) for form in ENTITIES},
    **{f"sub_jobs_{form}": ("sub_jobs", form) for form in SUB_JOBS},
    **{f"{kind}_reason": ("reason", kind) for kind in ("chinese", "json", "secret")},
}
NAMES = (*_FLAGS, *_FORMS, "extra_fields", "time_style", "long_reason", "vanish_after", "answer_job_id")
_EXTRA_FIELDS: Mapping[str, object] = {"sub_jobs_total": 1, "sub_jobs_result": None, "x_region": "eu-de", "message": ""}


@dataclass(frozen=True, slots=True)
class Variants:
    """How a job's body is odd; the defaults are the documented form."""

    omit_null_errors: bool = False  # error_code and fail_reason are missing instead of null
    entities: str = ""  # one of ENTITIES instead of the object
    sub_jobs: str = ""  # one of SUB_JOBS instead of the list in entities
    extra_fields: Mapping[str, object] = field(default_factory=dict)
    back_to_init: bool = False  # a while of INIT in the middle of RUNNING
    time_style: str = "millis"  # one of TIME_STYLES
    success_parent_failed_child: bool = False
    reason: str = ""  # "chinese", "json", "secret": the text of a failure
    long_reason: int = 0  # the reason is filled up to this many kB
    vanish_after: float | None = None  # seconds after its begin the job is gone
    answer_job_id: str | None = None  # the body names another job


def read_variants(given: object) -> Variants:
    """Read variants from a list of names, a comma-separated text or an object of name and value.

    Raises ValueError, with the name, for one that does not exist or has a value of the wrong kind.
    """
    if given is None:
        return Variants()
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        given = dict.fromkeys(given, True)
    if not isinstance(given, dict):
        raise ValueError("variants is not a list of names, a text or an object")
    fields: dict[str, object] = {}
    for name, value in given.items():
        if value is not False:
            fields.update(_one(str(name), value))
    return Variants(**fields)  # type: ignore[arg-type]  # _one gives each field its own type


def _one(name: str, value: object) -> dict[str, object]:
    if name in _FLAGS:
        return {name: True}
    if name in _FORMS:
        return dict([_FORMS[name]])
    if name == "extra_fields":
        return {name: value if isinstance(value, dict) else _EXTRA_FIELDS}
    if name == "time_style" and value in TIME_STYLES:
        return {name: value}
    if name == "long_reason":
        return {name: 8 if value is True else Options({name: value}).whole(name, 8, most=_LONGEST_REASON)}
    if name == "vanish_after" and value is not True:
        return {name: Options({name: value}).number(name, 0.0)}
    if name == "answer_job_id":
        return {name: value if isinstance(value, str) else "f" * 32}
    raise ValueError(f"variant {name!r} with value {value!r} does not exist")
