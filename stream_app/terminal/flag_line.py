"""A flag as one line of text, and the colours of the four types."""

from collections.abc import Callable

from stream_app.core.messages import Flag, FlagType, Role
from stream_app.core.readable import readable
from stream_app.terminal.format import hours, moment

FLAG_STYLES = {
    FlagType.EMERGING: "bold magenta",
    FlagType.ENTERED: "green",
    FlagType.FADING: "yellow",
    FlagType.LEFT: "red",
}
_UNITS = {Role.CONNECTOR: "impressions", Role.MAVEN: "posts"}


def flag_line(flag: Flag, when: Callable[[int], str] = moment) -> str:
    """When, what, who, and the numbers behind it."""
    who = f"{flag.type:<8}  {flag.role:<9}  {readable(flag.topic):<14}  {readable(flag.user_id):<16}"
    return f"{when(flag.event_time)}  {who}  {_numbers(flag)}"


def _numbers(flag: Flag) -> str:
    if flag.type is FlagType.EMERGING:
        eta = f", there in {hours(flag.eta_s)}" if flag.eta_s is not None else ""
        return f"{flag.value:,} of θ {flag.threshold:,}{eta}, z {flag.z:.1f}"
    return f"{flag.value:,} {_UNITS[flag.role]}, θ {flag.threshold:,}, rank {flag.rank:,}"
