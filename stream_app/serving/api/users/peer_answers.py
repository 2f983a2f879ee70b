"""Answers of other workers, checked before they are believed: no more than was asked, and about nothing else."""

import math
from collections.abc import Iterable, Sequence

import msgspec

from stream_app.core.messages import Flag
from stream_app.core.queries import is_sound
from stream_app.serving.api.responses import Influencer, Place
from stream_app.serving.api.users.peer_protocol import (
    MOST_TEXT,
    FoundAt,
    FunnelFound,
    FunnelQuery,
    LeaderQuery,
    Leaders,
    PlaceQuery,
    Places,
    Ranked,
    RecruitQuery,
    RecruitsFound,
    ScopeFound,
    ScopeQuery,
)

_MOST = 2**63
_MOST_MS = 8_640_000_000_000_000
"""From the epoch: no browser knows a later time."""
_MOST_POINTS = 4000
"""Of a curve: more than any home sends …"""
_FEW_POINTS = 100
"""… and where the curve is not wanted."""
_MOST_DAYS = 4000
"""Of cohorts: more than anybody keeps."""
_DAYS = range(-719_162, 2_932_897)
"""Since the epoch, in the years 1 to 9999."""


class WrongAnswerError(ValueError):
    """An answer that no worker gives; the message says what is wrong with it."""


def check_leaders(asked: Sequence[LeaderQuery], answers: Sequence[Leaders]) -> None:
    """Raise WrongAnswerError unless these are answers to those questions."""
    _require(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} queries")
    for query, leaders in zip(asked, answers, strict=True):
        _check_partitions(query.partitions, leaders.partitions)
        _require(len(leaders.first) <= query.most, "more users than were asked for")
        _require(len(leaders.first) <= leaders.total < _MOST, "another total than there are users")
        there = set(leaders.partitions)
        for ranked in leaders.first:
            _check_ranked(ranked, there)


def check_places(asked: Sequence[PlaceQuery], answers: Sequence[Places], panes: int) -> None:
    """The same for places; `panes`: how many the window has."""
    _require(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} queries")
    for query, places in zip(asked, answers, strict=True):
        _check_partitions(query.partitions, places.partitions)
        users, there = set(query.users), set(places.partitions)
        known: set[tuple[str, str, str, str]] = set()
        for found in places.found:
            _require(found.user in users and found.partition in there, "a user or partition that was not asked about")
            _check_place(query, found, panes)
            place = found.place
            known.add((found.user, place.topic, place.population, place.role))
        _require(len(known) == len(places.found), "a user is there twice")


def check_scopes(asked: Sequence[ScopeQuery], answers: Sequence[ScopeFound]) -> None:
    """The same for what homes know of scopes."""
    _require(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} queries")
    for query, found in zip(asked, answers, strict=True):
        _check_partitions(query.partitions, found.partitions)
        if found.record is not None:
            _require(
                is_sound(found.record, _MOST_POINTS if query.with_curve else _FEW_POINTS), "a cut that no scope has"
            )
            _require(list(map(len, found.ranks)) == list(map(len, query.values)), "ranks of other values")
            _require(all(0 < rank < _MOST for ranks in found.ranks for rank in ranks), "a rank that nobody has")


def check_funnels(asked: Sequence[FunnelQuery], answers: Sequence[FunnelFound]) -> None:
    """The same for funnels."""
    _require(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} queries")
    for query, found in zip(asked, answers, strict=True):
        _check_partitions(query.partitions, found.partitions)
        if (funnel := found.funnel) is None:
            continue
        sums = funnel.sums
        _require(all(0 <= number < _MOST for number in sums), "a number that nobody has")
        _require(sums.entries == sums.recruited + sums.self_started + sums.unknown, "entries that do not add up")
        _require(len(funnel.cohorts) <= _MOST_DAYS, "too many days")
        _require(all(day in _DAYS for day in funnel.cohorts), "a day that is none")
        numbers = (number for cohort in funnel.cohorts.values() for number in cohort)
        _require(all(0 <= number < _MOST for number in numbers), "a cohort that no day has")
        _require(abs(funnel.known_before) < _MOST, "a day that never comes")


def check_recruits(asked: Sequence[RecruitQuery], answers: Sequence[RecruitsFound]) -> None:
    """The same for recruits."""
    _require(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)} queries")
    for query, found in zip(asked, answers, strict=True):
        _check_partitions(query.partitions, found.partitions)
        _require(len(found.by_user) == len(query.users), "recruits of others")
        for theirs in found.by_user:
            _require(len(theirs.newest) <= query.most, "more recruits than were asked for")
            _require(len(theirs.newest) <= theirs.total < _MOST, "another total than there are entries")
            for entry in theirs.newest:
                _require(0 < len(entry.user) <= MOST_TEXT, "a user whose id is too long")
                _require(0 <= entry.impressions < _MOST, "impressions that nobody has")
                _require(abs(entry.entered_ms) <= _MOST_MS, "a time that never was")


def _check_partitions(asked: Iterable[int] | None, answered: Sequence[int]) -> None:
    _require(asked is not None and set(answered) <= set(asked), "partitions that were not asked about")
    _require(len(set(answered)) == len(answered), "a partition is there twice")


def _check_ranked(ranked: Ranked, partitions: set[int]) -> None:
    _require(ranked.partition in partitions, "a user of another partition")
    _require(0 < len(ranked.user) <= MOST_TEXT, "a user whose id is too long")
    _require(0 <= ranked.value < _MOST, "a value that nobody has")
    _require(ranked.eta_s is None or (math.isfinite(ranked.eta_s) and ranked.eta_s >= 0), "a time that never comes")


def _check_place(asked: PlaceQuery, found: FoundAt, panes: int) -> None:
    place = found.place
    scope = (place.population, place.topic, place.role)
    _require(asked.scope in {None, scope}, "a topic that was not asked about")
    _require(place.now.user_id == found.user, "somebody else's place")
    _require(max(map(len, scope)) <= MOST_TEXT, "a topic that is too long")
    _require(len(place.now.panes) == panes, f"{len(place.now.panes)} panes of {panes}")
    _check_numbers(place, place.now)
    if (flag := place.flag) is not None:
        _require(asked.with_flags and _is_of(flag, found), "a flag of somebody else")


def _check_numbers(place: Place, now: Influencer) -> None:
    whole = (place.threshold, now.rank, now.value, now.chance_flags or 0, *now.panes)
    _require(all(0 <= number < _MOST for number in whole), "a number that nobody has")
    pace = (now.share, now.short_rate, now.long_rate, now.rate_error, now.z, now.events)
    _require(all(map(math.isfinite, (*pace, now.eta_s or 0.0, now.chance or 0.0))), "a number that is none")


def _is_of(flag: Flag, found: FoundAt) -> bool:
    place = found.place
    return (flag.user_id, flag.topic, flag.population, flag.role) == (
        *(found.user, place.topic, place.population),
        place.role,
    )


def _require(holds: bool, what: str) -> None:  # noqa: FBT001 - it is what is required
    if not holds:
        raise WrongAnswerError(what)


DECODE_FUNNELS = msgspec.json.Decoder(list[FunnelFound]).decode
DECODE_LEADERS = msgspec.json.Decoder(list[Leaders]).decode
DECODE_RECRUITS = msgspec.json.Decoder(list[RecruitsFound]).decode
DECODE_SCOPES = msgspec.json.Decoder(list[ScopeFound]).decode
DECODE_PLACES = msgspec.json.Decoder(list[Places]).decode
