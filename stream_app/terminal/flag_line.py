"""A flag as one line of text, and the colours of the four types."""

from collections.abc import Callable

from stream_app.core.flags.reasons import SAYS, odds
from stream_app.core.messages import Flag, FlagType
from stream_app.core.readable import readable
from stream_app.core.signals.facts import all_said
from stream_app.terminal.format import moment

FLAG_STYLES = {
    FlagType.EMERGING: "bold magenta",
    FlagType.ENTERED: "green",
    FlagType.FADING: "yellow",
    FlagType.LEFT: "red",
}


def flag_line(flag: Flag, when: Callable[[int], str] = moment) -> str:
    """When, what, who, and the numbers behind it."""
    who = f"{flag.type:<8}  {flag.role:<9}  {readable(flag.topic):<14}  {readable(flag.user_id):<16}"
    noticed = f" ({all_said(flag.signals)})" if flag.signals else ""
    return f"{when(flag.event_time)}  {who}  {_numbers(flag)}{noticed}"


def _numbers(flag: Flag) -> str:
    why = f": {SAYS[flag.reason]}" if flag.reason else ""
    if flag.type is FlagType.EMERGING:
        return ", ".join(filter(None, (f"{flag.value:,} of θ {flag.threshold:,}{why}", odds(flag))))
    return f"{flag.value:,} {flag.role.unit}, θ {flag.threshold:,}, rank {flag.rank:,}{why}"
