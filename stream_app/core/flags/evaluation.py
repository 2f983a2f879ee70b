"""Evaluation: gathers facts about the users of a ledger, applies the standing rules, and raises flags.

The steps of a round, on columns: rows that a rule could change (`WatchedRows.due`) → value, θ, pace → `Facts` →
`decide` → changed standings (`Changes`) → one `Flag` each.

Pace compares the short window S with the rest of the window L, which is the user's own past. Both are compound Poisson
counts: sums of impressions of very different size. A worked example: a connector has three shares of 100 impressions in
the last hour, and thirty of 100 in the 23 hours before. The size of an event is Σi²/Σi = 100, so there are 3 recent and
30 earlier events; ρ = 1/23; z = 2 (√3.375 − √(30.375/23)) / √(1 + 1/23) = 1.35, which is not remarkable.

But people act in bursts, and a burst says nothing about the next hour. So a rise has to have several moments: the sums
of the slots of the short window count as one event each, and the error of the pace is that of these.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_128_hexdigest

from stream_app.core.arrays import Codes, Floats, Ints, distinct_in
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.flags.standing import REASONS, TYPE_OF, Decisions, Facts, decide, reasons
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.messages import COUNTED, ROLES, Flag, FlagType
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.short_sums import Moments

_ENCODER = msgspec.json.Encoder()
_HOUR_S = 3600.0
_DIGITS = 6
"""Significant digits of rates in flags. More are of no use, and hundreds of thousands of standings are kept."""
_POWERS = 10.0 ** np.arange(23)
"""The powers of ten that a float represents exactly."""


class Changes(NamedTuple):
    """Changed standings, with the numbers behind each decision: columns of equal length, rates per second."""

    roles: Ints
    rows: Ints
    rules: Codes
    reasons: Codes
    values: Ints
    thresholds: Ints
    shares: Floats
    short_rates: Floats
    past_rates: Floats
    rate_errors: Floats
    z: Floats
    events: Floats
    eta_s: Floats


_NO_INTS, _NO_FLOATS = np.empty(0, np.int64), np.empty(0)
_NO_CHANGES = Changes(
    *(
        _NO_INTS,
        _NO_INTS,
        np.empty(0, np.uint8),
        np.empty(0, np.uint8),
        _NO_INTS,
        _NO_INTS,
        _NO_FLOATS,
        _NO_FLOATS,
        _NO_FLOATS,
    ),
    *(_NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS),
)


class EvaluationTime(NamedTuple):
    """Time, window and settings version of an evaluation. Times are epoch ms."""

    window_start: int
    window_end: int
    event_time: int
    detected_at: int
    settings_version: str
    warming_up: bool

    @classmethod
    def of(cls, ledger: Ledger, detected_ms: int, settings_version: str) -> "EvaluationTime":
        """Return that of an evaluation at the horizon of a ledger, which warms up until it has seen a whole window."""
        window, horizon = ledger.window, ledger.horizon
        start_ms = window.start_ms(horizon)
        is_warming_up = start_ms < ledger.since
        return cls(start_ms, window.end_ms(horizon), horizon, detected_ms, settings_version, is_warming_up)


class Spans(NamedTuple):
    """Lengths in event time: of the short window, and of the observed past before it."""

    short_s: float
    past_s: float


class Pace(NamedTuple):
    """The pace of some rows: columns of equal length, rates per second."""

    short: Floats
    past: Floats
    error: Floats
    z: Floats
    moments: Floats
    """Effective number of moments in the short window."""
    eta_s: Floats


def pace(value: Ints, threshold: Ints, squares: Floats, short: Floats, short_squares: Floats, spans: Spans) -> Pace:
    """Compute the rates, and how significantly the short window exceeds the user's own past.

    `squares`: Σi² of the events in the window; `short`, `short_squares`: Σ and Σ² of the slots of the short window.

    Both parts of the window are compound Poisson counts: sums of impressions of very different size. Divided by the
    size Σi² / Σi they vary like plain counts X₁ and X₀ (posts, recruits: size 1), whose rates the square root test
    compares: z = 2 (√(X₁ + ⅜) - √(ρ (X₀ + ⅜))) / √(1 + ρ) with ρ = S / L (Huffman 1984; Ng and Tang 2005). Unlike a
    test on the plain difference, it keeps its significance level for the few events that most users have.
    """
    rate = short / spans.short_s
    if spans.past_s < spans.short_s:
        past, z = np.zeros(len(value)), np.zeros(len(value))
    else:
        past = (value - short) / spans.past_s
        z = _square_root_test(value, squares, short, spans.short_s / spans.past_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta_s = np.where(rate > past, (threshold - value) / (rate - past), np.inf)
        moments = np.where(short_squares > 0, short**2 / short_squares, 0.0)
    return Pace(rate, past, np.sqrt(short_squares) / spans.short_s, z, moments, np.maximum(eta_s, 0.0))


def pace_of(ledger: Ledger, role: int, rows: Ints, thresholds: Ints, moments: Moments, spans: Spans) -> Pace:
    """Return the pace of the users of `rows` towards `thresholds`, one for each row; `moments`: of these rows."""
    value = ledger.rows.values(role)[rows].astype(np.int64)
    squares = value.astype(np.float64) if COUNTED[ROLES[role]].in_ones else ledger.rows.squares[rows]
    return pace(value, thresholds, squares, moments.sums[role], moments.squares[role], spans)


def _square_root_test(value: Ints, squares: Floats, short: Floats, ratio: float) -> Floats:
    size = np.maximum(squares, 1.0) / np.maximum(value, 1)
    recent, before = short / size, np.maximum(value - short, 0) / size
    z: Floats = 2 * (np.sqrt(recent + 3 / 8) - np.sqrt(ratio * (before + 3 / 8))) / np.sqrt(1 + ratio)
    return z


def evaluate(ledger: Ledger, due: Sequence[Ints], numbers: Ints, ranked: RankedScopes) -> Changes:
    """Apply the rules to the rows that are `due`, by role, at the horizon of the ledger, and update their standings.

    `numbers`: the number of each scope of the ledger among those that are followed.
    """
    together = distinct_in(np.concatenate(due))
    moments = ledger.moments(together)
    changes = [
        _evaluate(
            ledger,
            role,
            rows,
            numbers[ledger.rows.scopes_of(rows)],
            moments.at(np.searchsorted(together, rows)),
            ranked,
        )
        for role, rows in enumerate(due)
        if len(rows)
    ]
    for role, rows in enumerate(due):
        if not len(rows):
            ledger.rows.set_below_since_s(role, rows, rows)
    if not changes:
        return _NO_CHANGES
    return Changes(*(np.concatenate(columns) for columns in zip(*changes, strict=True)))


def _evaluate(ledger: Ledger, role: int, rows: Ints, scope: Ints, moments: Moments, ranked: RankedScopes) -> Changes:
    """Apply the rules to some rows of one role; `scope`: their scopes among those that are followed."""
    rules, cuts = ranked.rules, ranked.followed.cuts
    value, threshold = ledger.rows.values(role)[rows].astype(np.int64), cuts.thresholds[role][scope]
    going = pace_of(ledger, role, rows, threshold, moments, spans_of(ledger))
    facts = Facts(
        standing=ledger.rows.standings[role][rows],
        value=value,
        threshold=threshold,
        ties=cuts.ties[role][scope],
        ranking=cuts.ranking[role][scope],
        is_newly_ranked=cuts.ranked_s[role][scope] > ledger.window.step_start_ms(ledger.horizon) // 1000,
        is_active=moments.newest[role] > 0,
        z=going.z,
        moments=going.moments,
        eta_s=going.eta_s,
        below_since_s=ledger.rows.below_since_s(role, rows),
    )
    decided = decide(facts, rules, rules.floors[role], ledger.horizon // 1000)
    ledger.rows.set_below_since_s(role, rows, decided.below_since_s)
    moved = np.flatnonzero(decided.rule)
    ledger.rows.set_standings(role, rows[moved], decided.standing[moved])
    return Changes(
        roles=np.full(len(moved), role),
        rows=rows[moved],
        rules=decided.rule[moved],
        reasons=reasons(
            Facts._make(column[moved] for column in facts),
            Decisions._make(column[moved] for column in decided),
            rules.floors[role],
        ),
        values=value[moved],
        thresholds=threshold[moved],
        shares=np.minimum(value[moved] / np.maximum(cuts.totals[role, scope[moved]], 1), 1.0),
        short_rates=going.short[moved],
        past_rates=going.past[moved],
        rate_errors=going.error[moved],
        z=going.z[moved],
        events=going.moments[moved],
        eta_s=going.eta_s[moved],
    )


def flags_of(changes: Changes, ranks: Ints, moment: EvaluationTime, ledger: Ledger, record: TrackRecord) -> list[Flag]:
    """Build the flags for changes in `ledger`; `ranks`: the rank of the user in the scope, for each change."""
    names, users, held = ledger.scopes.names(), ledger.users.names, ledger.rows
    counts = (
        *(changes.reasons, changes.roles, held.scopes_of(changes.rows), held.users_of(changes.rows)),
        *(held.standings[changes.roles, changes.rows], changes.rules, changes.values, changes.thresholds, ranks),
    )
    measures = (
        *(changes.shares, changes.short_rates * _HOUR_S, changes.past_rates * _HOUR_S, changes.rate_errors * _HOUR_S),
        *(changes.z, changes.events, changes.eta_s),
    )
    columns = (*(column.tolist() for column in counts), *_rounded(np.stack(measures)).tolist())
    chances = {reason: record.chance_of(REASONS[reason]) for reason in np.unique(changes.reasons).tolist()}
    flags = []
    for numbers in zip(*columns, strict=True):
        reason, role, scope, user, standing, rule, value, threshold, rank, *rates = numbers
        share, short, past, error, z, events, eta_s = rates
        population, topic = names[scope]
        chance = chances[reason] if TYPE_OF[standing] is FlagType.EMERGING else None
        what = (users[user], population, topic, ROLES[role], TYPE_OF[standing], moment.event_time, moment.detected_at)
        flags.append(
            Flag(
                flag_id=xxh3_128_hexdigest(_ENCODER.encode(what)),
                type=TYPE_OF[standing],
                role=ROLES[role],
                topic=topic,
                population=population,
                user_id=users[user],
                value=value,
                threshold=threshold,
                share=share,
                rank=rank,
                short_rate=short,
                long_rate=past,
                rate_error=error,
                z=z,
                events=events,
                eta_s=eta_s if eta_s < np.inf else None,
                rule=rule,
                reason=REASONS[reason],
                warming_up=moment.warming_up,
                chance=chance and chance.part,
                chance_flags=chance and chance.flags,
                chance_from=chance and chance.source,
                window_start=moment.window_start,
                window_end=moment.window_end,
                event_time=moment.event_time,
                detected_at=moment.detected_at,
                settings_version=moment.settings_version,
            )
        )
    return flags


def spans_of(ledger: Ledger) -> Spans:
    """Return the spans that the ledger has observed up to its horizon."""
    start_ms = ledger.window.short_start_ms(ledger.horizon)
    window_start_ms = max(ledger.window.start_ms(ledger.horizon), ledger.since)
    return Spans(
        short_s=max(ledger.horizon + 1 - max(start_ms, ledger.since), 1000) / 1000,
        past_s=max(start_ms - window_start_ms, 0) / 1000,
    )


def _rounded(values: Floats) -> Floats:
    """Round to six significant digits, to the float whose shortest decimal has these digits."""
    with np.errstate(divide="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
    places = np.clip(np.nan_to_num(_DIGITS - 1 - magnitude), 1 - len(_POWERS), len(_POWERS) - 1).astype(np.int64)
    power = _POWERS[np.abs(places)]  # multiply or divide by it: negative powers are not exact
    rounded: Floats = np.where(places >= 0, np.rint(values * power) / power, np.rint(values / power) * power)
    return rounded
