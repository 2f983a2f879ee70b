"""The text of messages: a title of one line and a body, for a flag or a digest of several. No I/O.

Names in events are chosen by strangers, and chats obey what stands in a message: @everyone rings every phone, an
address becomes a link, a star makes bold. `harmless` replaces what they look for by signs that look alike, for every
service at once: which of them reads Markdown, mrkdwn, HTML or plain text is for its users to choose, and changes.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence

from stream_app.core.flags.reasons import SAYS, odds
from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION, Flag, FlagType
from stream_app.core.readable import readable
from stream_app.core.signals.facts import all_said

MAX_LISTED = 10
"""The flags that a digest lists; the others are counted."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MAX_NAME = 80
_LOOK_ALIKE = str.maketrans(
    dict.fromkeys("@\uff20\ufe6b", "(at)")  # mentions; some services take a wide @ for one
    | dict.fromkeys("<[", "(")  # mentions and links of Slack and HTML, links of Markdown
    | dict.fromkeys(">]", ")")
    | dict.fromkeys("#\uff03", "\u266f")  # tags and channels
    | {"$": "\uff04", "!": "\u01c3", "&": "\uff06"}  # $tags, !channel and images, entities
    | {":": "\u2236", "/": "\u2215", "\\": "\u2216"}  # schemes of addresses, :emoji:, /commands, u/names, escapes
    | {"*": "\u2217", "~": "\u223c", "`": "\u02cb", "|": "\u2223"}  # bold, struck out, code, spoilers
)
"""Signs that a chat obeys, and what looks like them."""
_DOT = re.compile(r"[.\uff0e\u3002\uff61](?=\w)")
"""Of a host name: evil.example is a link without any scheme."""
_ENCODED_WORD = re.compile(r"=(?=\?)")
"""Begins text in another coding within a mail's subject."""
_TITLES = {
    FlagType.EMERGING: "{user} is taking off: {role} of {topic}",
    FlagType.ENTERED: "{user} is now a mass {role} of {topic}",
    FlagType.FADING: "{user} is fading: {role} of {topic}",
    FlagType.LEFT: "{user} is no longer a mass {role} of {topic}",
}
_COUNTED = {
    FlagType.EMERGING: "taking off",
    FlagType.ENTERED: "entered",
    FlagType.FADING: "fading",
    FlagType.LEFT: "left",
}
_IMPORTANCE = {FlagType.EMERGING: 0, FlagType.ENTERED: 1, FlagType.FADING: 2, FlagType.LEFT: 3}


def title_of(flag: Flag) -> str:
    """One line: who, and what happened."""
    return _TITLES[flag.type].format(user=_name(flag.user_id), role=flag.role.value, topic=_topic(flag))


def body_of(flag: Flag) -> str:
    """The numbers of the flag, in sentences."""
    values, window_s = flag.role.unit, (flag.window_end - flag.window_start) / 1000
    lines = [
        f"{flag.value:,} {values} in {_length(window_s)}; {flag.threshold:,} make a mass {flag.role.value} (θ).",
        f"{_percent(flag.share)} of all {values}, about rank {flag.rank:,}.",
        f"Pace: {_rate(flag.short_rate)} {values} an hour, {_rate(flag.long_rate)} before (z {flag.z:.1f}).",
    ]
    if flag.reason is not None:
        lines.append(f"Why: {SAYS[flag.reason]}.")
    if chance := odds(flag):
        lines.append(f"Chance: {chance}.")
    if flag.signals:
        lines.append(f"Noticed in 24 hours: {all_said(flag.signals)}.")
    if flag.warming_up:
        lines.append("The tracker has not seen a whole window yet: values still grow because they are counted first.")
    if flag.population != DEFAULT_POPULATION:
        lines.append(f"Population: {_name(flag.population)}.")
    lines.append(f"Event time {_moment(flag.event_time)}.")
    return "\n".join(lines)


def digest_title(flags: Sequence[Flag], rule: str) -> str:
    """One line: how many flags of each type."""
    counts = Counter(flag.type for flag in flags)
    parts = [f"{counts[kind]:,} {word}" for kind, word in _COUNTED.items() if counts[kind]]
    return f"{len(flags):,} more from “{_name(rule)}”: {', '.join(parts)}"


def digest_body(flags: Sequence[Flag], most: int = MAX_LISTED) -> str:
    """One line for each of the `most` important flags, and how many more there are."""
    listed = sorted(flags, key=importance)[:most]
    lines = [f"{title_of(flag)} ({_short(flag)})" for flag in listed]
    if more := len(flags) - len(listed):
        lines.append(f"… and {more:,} more.")
    return "\n".join(lines)


def harmless(name: str) -> str:
    """`name` with nothing that pings, links or formats in a chat or a mail."""
    return _ENCODED_WORD.sub("\ua78a", _DOT.sub("\u2024", name.translate(_LOOK_ALIKE)))


def importance(flag: Flag) -> tuple[int, float, str]:
    """A sort key, the most important flag first: by type, then by the share of the total."""
    return _IMPORTANCE[flag.type], -flag.share, flag.flag_id


def _short(flag: Flag) -> str:
    why = f", {SAYS[flag.reason]}" if flag.reason is not None else ""
    return f"{flag.value:,} of θ {flag.threshold:,}{why}"


def _topic(flag: Flag) -> str:
    return "all topics" if flag.topic == ALL_TOPICS else _name(flag.topic)


def _name(text: str) -> str:
    return harmless(readable(text, _MAX_NAME))


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %" if part >= 0.01 else f"{100 * part:.2g} %"


def _rate(per_hour: float) -> str:
    return f"{per_hour:,.0f}" if per_hour >= 10 else f"{per_hour:.1f}"


def _length(seconds: float) -> str:
    """In words, in the two largest units: 2 hours 4 minutes."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return _plural(whole, "second")
    if whole < _HOUR_S:
        return _plural(round(whole / _MINUTE_S), "minute")
    large, small, size, part = (
        ("hour", "minute", _HOUR_S, _MINUTE_S) if whole < 2 * _DAY_S else ("day", "hour", _DAY_S, _HOUR_S)
    )
    rest = whole % size // part
    return _plural(whole // size, large) + (f" {_plural(rest, small)}" if rest else "")


def _plural(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def _moment(ts_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(ts_ms / 1000, dt.UTC):%Y-%m-%d %H:%M} UTC"
