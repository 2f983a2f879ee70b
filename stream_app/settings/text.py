"""Settings as text, as they are written in the environment and read from it."""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from stream_app.settings import NAMES, Settings, environment_name
from stream_app.settings.kinds import is_duration
from stream_app.settings.schema import RULING
from stream_app.settings.secret import Secret

_UNITS_MS = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_DAY_MS = 86_400_000
_LONG_TEXT = 500


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


def ruling_texts(settings: Settings) -> dict[str, str]:
    """The settings that decide what is counted and who is flagged, as text that is the same for the same meaning."""
    return {name: _short(setting_text(name, _ordered(getattr(settings, name)))) for name in sorted(RULING)}


def _short(text: str) -> str:
    """A long text by its beginning and a digest, which still differ when the texts do."""
    if len(text) <= _LONG_TEXT:
        return text
    return f"{text[:_LONG_TEXT]}… (sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]})"


def _ordered(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables from which another process loads the same settings, with the secrets in them."""
    values = msgspec.structs.asdict(settings)
    return {environment_name(name): _whole_text(name, values[name]) for name in NAMES}


def _whole_text(name: str, value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else setting_text(name, value)
