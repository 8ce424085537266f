"""What can be set for the whole simulated cloud while it runs (`PUT /_sim/settings`).

`change` takes an admin call's JSON and gives new settings or says, in one line, what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from .options import MOST

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "expired_token_style": ("APIGW.0307", "Common.0013"),
    "entity_mode": ("modern", "classic"),
}
_MOST: Mapping[str, float] = {"speed": 1e6, "token_length": 1e6}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the whole cloud."""

    speed: float = 1.0  # jobs made from now on run that many times faster
    expired_token_style: str = "APIGW.0307"  # noqa: S105  # a code: the gateway refuses, or EVS (Common.0013)
    entity_mode: str = "modern"  # classic: entities hold nothing but volume_id
    token_length: int = 3000  # characters of tokens issued from now on
    retention: float = 86_400.0  # seconds that the record of an ended job is kept
    volume_ids: bool = False  # creation calls name the volumes, as newer regions do
    agency: bool = True  # the metadata service has a service agency to give credentials of
    host: str = ""  # answer only to this Host header; "" means any


def change(settings: Settings, given: Mapping[str, object]) -> Settings:
    """Return settings with the given values. Raises ValueError for an unknown name or a wrong value."""
    known = {field.name for field in fields(settings)}
    values: dict[str, object] = {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"setting {name!r} does not exist; there are {', '.join(sorted(known))}")
        values[name] = _checked(name, value, getattr(settings, name))
    return replace(settings, **values)  # type: ignore[arg-type]  # _checked gives each value its setting's type


def as_json(settings: Settings) -> dict[str, object]:
    """Return the settings as the admin API shows them."""
    return asdict(settings)


def _checked(name: str, value: object, current: object) -> object:
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(current):
        raise ValueError(f"{name} is {value!r}, not a {type(current).__name__}")
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value <= _MOST.get(name, MOST):
        raise ValueError(f"{name} is {value!r}, not greater than 0 and up to {_MOST.get(name, MOST):.0f}")
    return value
