"""The tracker's rule for who is about to enter a cut, beside one-liners that raise as many alarms, on recorded events.

`python -m tests.tools.alarm_rules FILE… [--set NAME=VALUE] [--json]` prints a table for each half of the days. What
counts as right, foreseen and a false alarm is defined in `stream_app/core/flags/outcomes.py`.

Every rule sees the same moments: those of users who are out of a cut and have the least evidence, in scopes that are
ranked or nearly so, at each step of event time. A one-liner has a score; it raises an alarm when the score comes over a
limit, and not again until it has been under it for the dwell time. Of the limits with which it raises as many alarms as
the tracker, to a fifth, it has for each role the one that serves it best: with the highest sum of precision and recall.
Where there is none, because many have the same score, it has the one with the nearest number.
"""

import argparse
import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.backtest.steps import read, steps
from stream_app.backtest.tracker import OfflineTracker
from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.flags.evaluation import pace_of, spans_of
from stream_app.core.flags.outcomes import DAY_MS, FORESIGHT_MS, Outcomes, Standing, UserDay, outcomes_of, rates_of
from stream_app.core.flags.ranking import NEARLY_RANKED, RANKED
from stream_app.core.flags.standing import EMERGING
from stream_app.core.messages import ROLES, Flag, FlagType
from stream_app.settings import Settings
from stream_app.settings.environment import from_environment
from stream_app.sources.files import read_events

_HALF_LIFE_MS = 4 * 3_600_000
"""In which a score of trending falls by half, as in Mastodon."""
_HOUR_MS = 3_600_000
_NEAR = 0.2
_LIMITS = np.concatenate([np.geomspace(1e-4, 0.01, 60), np.linspace(0.01, 1.0, 500)])
"""Parts of the moments that are over the limits to try."""


class Moments(NamedTuple):
    """What could be seen of candidates: columns of equal length, by time, and by user within."""

    standing: Ints
    """Its place in `Seen.standings`."""
    ms: Ints
    role: Ints
    part: Floats
    """Value / θ."""
    eta_s: Floats
    excess: Floats
    """(observed - expected)² / expected of the short window, 0 where no more was observed than expected."""


class Seen(NamedTuple):
    """A stream as all rules see it."""

    standings: list[Standing]
    moments: Moments
    flags: list[Flag]
    """Of the tracker, without those of the first window."""
    candidates: set[UserDay]
    begin_ms: int
    end_ms: int


class Line(NamedTuple):
    """A line of the table."""

    rule: str
    alarms: int
    precision: float | None
    recall: float | None
    true_positive_rate: float | None
    false_positive_rate: float | None
    lead_h: float | None
    """Median."""


def seen_by(paths: Sequence[Path], settings: Settings) -> Seen:
    """Run the tracker over the events, and note what every rule could see."""
    step_ms = round(settings.step_s * 1000)
    tracker = OfflineTracker(settings)
    known: dict[Standing, int] = {}
    parts, flags, candidates = list[Moments](), list[Flag](), set[UserDay]()
    for end_ms, _, raised in tracker.run(steps(read(list(read_events(paths)), settings))):
        flags += [flag for flag in raised if not flag.warming_up]
        if tracker.is_warming_up:
            continue
        if end_ms // _HOUR_MS != (end_ms - step_ms) // _HOUR_MS:
            candidates.update((standing, end_ms // DAY_MS) for standing in tracker.candidates())
        parts += _moments(tracker, known)
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Seen(list(known), Moments(*columns), flags, candidates, tracker.ledger.since, tracker.end_ms)


def _moments(tracker: OfflineTracker, known: dict[Standing, int]) -> Iterator[Moments]:
    ledger, cuts = tracker.ledger, tracker._followed.cuts
    numbers = tracker._scopes.numbers(ledger, tracker._followed)[ledger.rows.scopes]
    spans, names = spans_of(ledger), ledger.scopes.names()
    for role, floor in enumerate(tracker._ranked.rules.floors):
        ranking = cuts.ranking[role][numbers]
        is_seen = ((ranking == RANKED) | (ranking == NEARLY_RANKED)) & (ledger.rows.values(role) >= floor)
        rows = np.flatnonzero(is_seen & (ledger.rows.standings[role] <= EMERGING))
        if not len(rows):
            continue
        thresholds = cuts.thresholds[role][numbers[rows]].astype(np.int64)
        pace = pace_of(ledger, role, rows, thresholds, ledger.moments(rows), spans)
        expected = np.maximum(pace.past * spans.short_s, 1.0)
        excess = np.maximum(pace.short * spans.short_s - expected, 0.0) ** 2 / expected
        users, scopes = ledger.rows.users_of(rows).tolist(), ledger.rows.scopes_of(rows).tolist()
        keys = (
            (ledger.users.names[user], *names[scope], ROLES[role]) for user, scope in zip(users, scopes, strict=True)
        )
        places = np.array([known.setdefault(key, len(known)) for key in keys])
        part = ledger.rows.values(role)[rows] / np.maximum(thresholds, 1)
        yield Moments(
            places, np.full(len(rows), tracker.end_ms - 1), np.full(len(rows), role), part, pace.eta_s, excess
        )


def decayed(moments: Moments) -> Floats:
    """Return the highest excess so far, halved every few hours, as Mastodon's trends have it."""
    found = np.empty(len(moments.ms))
    last: dict[int, tuple[float, int]] = {}
    for place, (key, ms, excess) in enumerate(
        zip(moments.standing.tolist(), moments.ms.tolist(), moments.excess.tolist(), strict=True)
    ):
        score, then_ms = last.get(key, (0.0, ms))
        found[place] = max(excess, score * 0.5 ** ((ms - then_ms) / _HALF_LIFE_MS))
        last[key] = found[place], ms
    return found


Score = Callable[[Moments], Floats]
ONE_LINERS: dict[str, Score] = {
    "value ≥ c θ": lambda seen: seen.part,
    "on course within h, whatever z": lambda seen: -seen.eta_s,
    "trending, as Mastodon": decayed,
    "random moments": lambda seen: np.random.default_rng(1).random(len(seen.ms)),
}


def alarms_of(moments: Moments, is_over: Mask, dwell_ms: int) -> Ints:
    """Return the moments at which alarms are raised; they are sorted by standing, and by time within."""
    over = np.flatnonzero(is_over)
    is_first = np.diff(moments.standing[over], prepend=-1) != 0
    found: Ints = over[is_first | (np.diff(moments.ms[over], prepend=0) > dwell_ms)]
    return found


def limited(moments: Moments, score: Floats, count: int, dwell_ms: int) -> list[Ints]:
    """Return the alarms of a score for all limits with which there are about as many, or as nearly as there can be."""
    limits = np.unique(np.quantile(score[np.isfinite(score)], 1 - _LIMITS)) if count else ()
    found = [alarms_of(moments, score >= limit, dwell_ms) for limit in limits]
    near = [alarms for alarms in found if abs(len(alarms) - count) <= _NEAR * count]
    return near or sorted(found, key=lambda alarms: abs(len(alarms) - count))[:1]


def line_of(rule: str, seen: Seen, warnings: Sequence[Flag], span: range) -> Line:
    """Return how good some warnings were in a span of days."""
    others = [flag for flag in seen.flags if flag.type is not FlagType.EMERGING]
    flags = sorted([*others, *warnings], key=lambda flag: flag.event_time)
    whole = outcomes_of(flags, FORESIGHT_MS, seen.end_ms)
    some = Outcomes(
        [one for one in whole.warned if one.flag.event_time // DAY_MS in span],
        whole.undecided,
        [entry for entry in whole.entries if entry.flag.event_time // DAY_MS in span],
        [],
    )
    rates = rates_of(some, {day for day in seen.candidates if day[1] in span})
    leads = [entry.lead_ms / _HOUR_MS for entry in some.entries if entry.lead_ms is not None]
    return Line(rule, len(some.warned), *rates, median(leads) if leads else None)


def lines_of(seen: Seen, span: range, dwell_ms: int) -> list[Line]:
    """Return the table of one span of days: the tracker's rule, and all others with as many alarms."""
    own = [flag for flag in seen.flags if flag.type is FlagType.EMERGING and flag.event_time // DAY_MS in span]
    lines = [line_of("the tracker", seen, own, span)]
    days = seen.moments.ms // DAY_MS
    for rule, score in ONE_LINERS.items():
        scores, warnings = score(seen.moments), list[Flag]()
        for number, role in enumerate(ROLES):
            some = np.flatnonzero((seen.moments.role == number) & (days >= span.start) & (days < span.stop))
            some = some[np.lexsort((seen.moments.ms[some], seen.moments.standing[some]))]
            moments = Moments._make(column[some] for column in seen.moments)
            count = sum(flag.role is role for flag in own)
            of_role = seen._replace(flags=[flag for flag in seen.flags if flag.role is role])
            best: tuple[float, list[Flag]] = (-1.0, [])
            for alarms in limited(moments, scores[some], count, dwell_ms):
                flags = [_flag(seen, place) for place in some[alarms].tolist()]
                line = line_of(rule, of_role, flags, span)
                best = max(best, ((line.precision or 0.0) + (line.recall or 0.0), flags), key=itemgetter(0))
            warnings += best[1]
        lines.append(line_of(rule, seen, warnings, span))
    return lines


def _flag(seen: Seen, place: int) -> Flag:
    user, population, topic, role = seen.standings[int(seen.moments.standing[place])]
    return msgspec.structs.replace(
        seen.flags[0],
        type=FlagType.EMERGING,
        user_id=user,
        population=population,
        topic=topic,
        role=role,
        event_time=int(seen.moments.ms[place]),
    )


def halves(seen: Seen) -> list[range]:
    """Return the days of the stream in two halves; a day is the number of days since 1970."""
    first, last = seen.begin_ms // DAY_MS, (seen.end_ms - 1) // DAY_MS
    middle = (first + last + 1) // 2
    return [range(first, middle), range(middle, last + 1)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the tracker")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    settings = from_environment(dict(one.split("=", 1) for one in given.set))
    seen = seen_by(given.files, settings)
    tables = {_name(span): lines_of(seen, span, round(settings.dwell_s * 1000)) for span in halves(seen)}
    if given.json:
        print(json.dumps({name: [line._asdict() for line in lines] for name, lines in tables.items()}, indent=1))
        return
    for name, lines in tables.items():
        print(f"\n| {name} | alarms | precision | recall | TPR / FPR | lead, median |")
        print("|" + " --- |" * 6)
        for line in lines:
            lead = "–" if line.lead_h is None else f"{line.lead_h:.1f} h"
            rates = f"{_digits(line.true_positive_rate)} / {_digits(line.false_positive_rate)}"
            right = f"{_digits(line.precision)} | {_digits(line.recall)}"
            print(f"| {line.rule} | {line.alarms:,} | {right} | {rates} | {lead} |")


def _name(days: range) -> str:
    first, last = (dt.date(1970, 1, 1) + dt.timedelta(days=day) for day in (days.start, days.stop - 1))
    return f"{first} to {last}"


def _digits(part: float | None) -> str:
    return "–" if part is None else f"{part:.2f}".removeprefix("0")


if __name__ == "__main__":
    main()
