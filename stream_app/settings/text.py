"""Settings as text, as they are written in the environment and read from it."""

from decimal import Decimal
from typing import Any

import msgspec

from stream_app.settings import NAMES, Settings, environment_name
from stream_app.settings.kinds import is_duration
from stream_app.settings.secret import Secret

_UNITS_MS = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_DAY_MS = 86_400_000


def duration_text(seconds: float) -> str:
    """A duration in its largest whole unit: 24h, 15m, 90s, 250ms, 9000d."""
    ms = round(seconds * 1000)
    if ms / 1000 != seconds or ms <= 0:
        return format(Decimal(repr(seconds)), "f")
    if ms % _DAY_MS == 0 and ms > _DAY_MS:
        return f"{ms // _DAY_MS}d"
    return next(f"{ms // unit}{name}" for name, unit in _UNITS_MS if ms % unit == 0)


def setting_text(name: str, value: Any) -> str:
    """The value of a setting as text, a secret hidden."""
    if is_duration(name):
        return duration_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return ",".join(value)
    return str(value)


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables from which another process loads the same settings, with the secrets in them."""
    values = msgspec.structs.asdict(settings)
    return {environment_name(name): _whole_text(name, values[name]) for name in NAMES}


def _whole_text(name: str, value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else setting_text(name, value)
