"""Outcomes: which emerging flags came true, and which entries were foreseen, from the flags alone.

A flag `emerging` is right if the same user enters the same cut (rule 1) within the foresight time, and wrong once that
has passed. An entry was foreseen if such a flag was raised within the foresight time before it.

True and false positive rates are of the days on which a user was a candidate for a cut: of those on which the user
entered it, how many were foreseen, and of the others, how many have a warning all the same.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from stream_app.core.messages import Flag, FlagType, Reason, Role

DAY_MS = 86_400_000
FORESIGHT_MS = DAY_MS // 2
Standing = tuple[str, str, str, Role]
"""User, population, topic and role."""
UserDay = tuple[Standing, int]
"""A standing, and a day since the epoch."""


class Warned(NamedTuple):
    """An emerging flag that is decided."""

    flag: Flag
    came_true: bool


class Entry(NamedTuple):
    """An entry, and how long before it the first warning came; None if it was not foreseen."""

    flag: Flag
    lead_ms: int | None


class Outcomes(NamedTuple):
    """What became of the flags of a stream."""

    warned: list[Warned]
    undecided: int
    """Emerging flags that may still come true."""
    entries: list[Entry]
    per_standing: list[int]
    """Flags of each standing, from the first to the one that ended it."""


class Tenth(NamedTuple):
    """Warnings whose stated chance lies in one tenth, as 0.6 to 0.7."""

    stated: float
    """Mean of the chances."""
    observed: float
    """Part that came true."""
    flags: int


class Rates(NamedTuple):
    """How good the warnings were. None where there is nothing to divide by."""

    precision: float | None
    recall: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None


_ENTRY_RULE = 1


def outcomes_of(flags: Iterable[Flag], foresight_ms: int, end_ms: int) -> Outcomes:
    """Return what became of `flags`, in the order raised for each user, up to the end of the stream."""
    by_standing: dict[Standing, list[Flag]] = defaultdict(list)
    for flag in flags:
        by_standing[standing_of(flag)].append(flag)
    warned, entries, undecided, per_standing = list[Warned](), list[Entry](), 0, list[int]()
    for own in by_standing.values():
        entered = [flag.event_time for flag in own if is_entry(flag)]
        warnings = [flag.event_time for flag in own if flag.type is FlagType.EMERGING]
        for flag in own:
            if flag.type is FlagType.EMERGING:
                came_true = _any_within(entered, flag.event_time + 1, flag.event_time + foresight_ms)
                if came_true or flag.event_time + foresight_ms <= end_ms:
                    warned.append(Warned(flag, came_true))
                else:
                    undecided += 1
            elif is_entry(flag):
                entries.append(Entry(flag, _lead_ms(warnings, flag.event_time, foresight_ms)))
        per_standing += _lengths(own)
    return Outcomes(warned, undecided, entries, per_standing)


def rates_of(found: Outcomes, candidates: AbstractSet[UserDay]) -> Rates:
    """Return the rates of some outcomes; `candidates`: the days on which somebody could have entered a cut."""
    all_entry_days = {_day_of(entry.flag) for entry in found.entries}
    entry_days = all_entry_days & candidates
    foreseen_days = {_day_of(entry.flag) for entry in found.entries if entry.lead_ms is not None} & candidates
    warned_days = {_day_of(one.flag) for one in found.warned} - all_entry_days
    right = sum(one.came_true for one in found.warned)
    foreseen = sum(entry.lead_ms is not None for entry in found.entries)
    return Rates(
        precision=_part(right, len(found.warned)),
        recall=_part(foreseen, len(found.entries)),
        true_positive_rate=_part(len(foreseen_days), len(entry_days)),
        false_positive_rate=_part(len(warned_days), len((candidates | warned_days) - all_entry_days)),
    )


def calibration_of(warned: Iterable[Warned]) -> list[Tenth]:
    """Return the stated chance beside what was observed, by tenth; a chance is true where the two are the same."""
    tenths: dict[int, list[Warned]] = defaultdict(list)
    for one in warned:
        if one.flag.chance is not None:
            tenths[min(int(one.flag.chance * 10), 9)].append(one)
    found = []
    for _, those in sorted(tenths.items()):
        stated, right = sum(one.flag.chance or 0.0 for one in those), sum(one.came_true for one in those)
        found.append(Tenth(stated / len(those), right / len(those), len(those)))
    return found


def reasons_of(flags: Iterable[Flag]) -> Mapping[tuple[FlagType, Reason | None], int]:
    """Return how many flags there are of each type and reason."""
    counts: dict[tuple[FlagType, Reason | None], int] = defaultdict(int)
    for flag in flags:
        counts[flag.type, flag.reason] += 1
    return counts


def standing_of(flag: Flag) -> Standing:
    """Return whose standing in which cut a flag is about."""
    return flag.user_id, flag.population, flag.topic, flag.role


def is_entry(flag: Flag) -> bool:
    """Return whether a user enters a cut with this flag, and is not back there after fading."""
    return flag.type is FlagType.ENTERED and flag.rule == _ENTRY_RULE


def _any_within(times: list[int], first: int, last: int) -> bool:
    place = bisect_left(times, first)
    return place < len(times) and times[place] <= last


def _lead_ms(warnings: list[int], entered_ms: int, foresight_ms: int) -> int | None:
    """Return the time from the first warning of an entry, None if there was none."""
    place = bisect_left(warnings, entered_ms - foresight_ms)
    return entered_ms - warnings[place] if place < bisect_right(warnings, entered_ms - 1) else None


def _lengths(own: list[Flag]) -> list[int]:
    """Return the number of flags of each standing of a user; one ends when the user has left."""
    lengths, length = list[int](), 0
    for flag in own:
        length += 1
        if flag.type is FlagType.LEFT:
            lengths.append(length)
            length = 0
    return [*lengths, length] if length else lengths


def _day_of(flag: Flag) -> UserDay:
    return standing_of(flag), flag.event_time // DAY_MS


def _part(some: int, of_all: int) -> float | None:
    return some / of_all if of_all else None
