"""Types of settings: ranges, documentation, and durations as text."""

import re
from typing import Annotated, NamedTuple

from msgspec import Meta

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Doc(NamedTuple):
    """The meaning of a setting, in its annotation."""

    text: str


Rate = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
GroupSize = Annotated[int, Meta(ge=0, le=1000)]
LEAST_MESSAGE_BYTES = 32_768
"""No record of the tracker that has to be whole is larger than this, whatever the names in it."""
MessageBytes = Annotated[int, Meta(ge=LEAST_MESSAGE_BYTES, le=8_000_000)]
IdBytes = Annotated[int, Meta(ge=16, le=256)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Port = Annotated[int, Meta(ge=0, le=65_535)]


def is_duration(name: str) -> bool:
    """Whether the setting of that name is a duration; its unit is in its name. A rate has its unit there too."""
    return name.endswith("_s") and not name.endswith("_per_s")


def parse_duration_s(text: str) -> float:
    """Seconds in `text`: '90', '15m', '1h30m', '24h', '9000d', '250ms'."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write it like 90s, 15m, 1h30m or 24h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def parse_pair(item: str) -> tuple[str, str]:
    """('email', '0.4') of 'email=0.4'."""
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError(f"{item!r} is not name=value")
    return name.strip(), value.strip()
