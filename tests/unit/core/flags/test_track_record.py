"""The track record, flag by flag, against the outcomes of the whole stream; and that it corrects the chance."""

from collections.abc import Sequence
from random import Random
from statistics import median_low
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.flags import outcomes as flag_outcomes
from stream_app.core.flags import track_record
from stream_app.core.flags.flag_quality import FlagQuality, Window
from stream_app.core.flags.outcomes import DAY_MS, FORESIGHT_MS, Outcomes, calibration_of, outcomes_of
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.messages import ChanceFrom, Flag, FlagType, Reason, Role
from tests.board_samples import a_flag

VERSION = "now"
MINUTE_MS = 60_000
WAYS = (Reason.AT_THE_DOOR, Reason.ACCELERATING, Reason.NEARLY_RANKED)


def raised(minute: int, user: str, flag_type: FlagType, rule: int = 3, **others: Any) -> Flag:
    flag = a_flag(user, flag_type=flag_type, eta_s=None)
    about = {"rule": rule, "event_time": minute * MINUTE_MS, "settings_version": VERSION, **others}
    return msgspec.structs.replace(flag, **about)


@st.composite
def streams(draw: st.DrawFn) -> list[Flag]:
    """Some weeks of flags of few users, in the order of event time."""
    minutes = draw(st.lists(st.integers(0, 2000), max_size=60))
    minute, flags = 0, []
    for step in minutes:
        minute += step
        flag_type, rule = draw(
            st.sampled_from([(FlagType.EMERGING, 3), (FlagType.ENTERED, 1), (FlagType.ENTERED, 2), (FlagType.LEFT, 5)])
        )
        role, user = draw(st.sampled_from([*Role])), draw(st.sampled_from(["ann", "bob"]))
        flags.append(raised(minute, user, flag_type, rule, role=role, reason=draw(st.sampled_from(WAYS))))
    return flags


def recorded(flags: Sequence[Flag], end_ms: int = 0) -> TrackRecord:
    record = TrackRecord(VERSION, DAY_MS, FORESIGHT_MS)
    for flag in flags:
        record.add(flag)
    record.advance(end_ms)
    return record


def quality(record: TrackRecord, role: Role, window: Window = "7d") -> FlagQuality:
    return record.quality(role, window)


def outcomes(flags: Sequence[Flag], role: Role, end_ms: int) -> Outcomes:
    return outcomes_of([flag for flag in flags if flag.role is role], FORESIGHT_MS, end_ms)


@given(streams(), st.sampled_from([*Role]))
def test_flag_by_flag_the_record_is_what_became_of_the_whole_stream(flags: list[Flag], role: Role) -> None:
    end_ms = (flags[-1].event_time if flags else 0) + FORESIGHT_MS + 1
    found, whole = quality(recorded(flags, end_ms), role), outcomes(flags, role, end_ms)
    first_ms = (end_ms // 3_600_000 - 7 * 24 + 1) * 3_600_000
    warned = [one for one in whole.warned if one.flag.event_time + FORESIGHT_MS >= first_ms]
    entries = [one for one in whole.entries if one.flag.event_time >= first_ms]
    leads = sorted(one.lead_ms // MINUTE_MS * 60 for one in entries if one.lead_ms is not None)
    assert (found.warnings, found.right) == (len(warned), sum(one.came_true for one in warned))
    assert (found.entries, found.foreseen) == (len(entries), len(leads))
    assert found.lead_s == (leads[(len(leads) - 1) // 2] if leads else None)


def naive_lengths(flags: Sequence[Flag], first_ms: int = 0) -> list[int]:
    """Flags of the standings that began and ended, those that ended from `first_ms` on."""
    found, so_far = [], dict[tuple[str, Role], int]()
    for flag in flags:
        who = flag.user_id, flag.role
        if flag.type is FlagType.EMERGING:
            so_far[who] = 1
        elif who in so_far:
            so_far[who] += 1
        elif flag.rule == 1:
            so_far[who] = 1
        if flag.type is FlagType.LEFT and who in so_far:
            length = so_far.pop(who)
            if flag.event_time >= first_ms:
                found.append(length)
    return sorted(found)


@given(streams(), st.sampled_from([*Role]))
def test_flags_per_standing_are_of_the_standings_that_began_and_ended(flags: list[Flag], role: Role) -> None:
    end_ms = (flags[-1].event_time if flags else 0) + FORESIGHT_MS + 1
    own = [flag for flag in flags if flag.role is role]
    assert sorted(outcomes(flags, role, end_ms).per_standing) == naive_lengths(own)
    first_ms = (end_ms // 3_600_000 - 7 * 24 + 1) * 3_600_000
    lengths = naive_lengths(own, first_ms)
    found = quality(recorded(flags, end_ms), role).flags_per_standing
    assert found == (median_low(lengths) if lengths else None)


@given(streams())
def test_the_chance_rests_on_every_flag_whose_outcome_is_known_the_older_the_less(flags: list[Flag]) -> None:
    end_ms = (flags[-1].event_time if flags else 0) + FORESIGHT_MS + 1
    places = {id(flag): place for place, flag in enumerate(flags)}
    decided = sorted(outcomes_of(flags, FORESIGHT_MS, end_ms).warned, key=lambda one: -places[id(one.flag)])
    weights = [0.5 ** (age / 250) for age in range(len(decided))]
    record = recorded(flags, end_ms)
    assert record.chance_of(WAYS[0]).flags == round(sum(weights))
    right = sum(weight for weight, one in zip(weights, decided, strict=True) if one.came_true)
    assert sum(way.right for way in record._verdicts.values()) == pytest.approx(right)


def test_a_warning_that_came_true_at_once_counts_no_earlier_than_one_that_did_not() -> None:
    record = recorded([raised(0, "ann", FlagType.EMERGING), raised(1, "ann", FlagType.ENTERED, 1)])
    assert record.chance_of(None).flags == 0
    record.advance(FORESIGHT_MS + 1)
    assert record.chance_of(None).flags == 1
    assert quality(record, Role.CONNECTOR).precision == 1.0


@pytest.mark.parametrize("other", [{"warming_up": True}, {"settings_version": "before"}])
def test_flags_of_the_first_window_or_under_other_settings_are_left_out(other: dict[str, Any]) -> None:
    record = recorded([raised(0, "ann", FlagType.EMERGING, **other)], DAY_MS)
    assert record.chance_of(None).flags == 0
    assert quality(record, Role.CONNECTOR).flags == 0


def test_the_last_day_forgets_what_the_last_week_keeps_and_both_forget_in_the_end() -> None:
    flags = [
        raised(0, "ann", FlagType.EMERGING),
        raised(30, "ann", FlagType.ENTERED, 1),
        raised(40, "ann", FlagType.LEFT),
    ]
    record = recorded(flags, 3 * DAY_MS)
    assert [quality(record, Role.CONNECTOR, window).warnings for window in ("1d", "7d")] == [0, 1]
    week = quality(record, Role.CONNECTOR)
    assert (week.precision, week.recall, week.lead_s, week.flags_per_standing) == (1.0, 1.0, 1800.0, 3.0)
    record.advance(9 * DAY_MS)
    none = quality(record, Role.CONNECTOR)
    assert (none.precision, none.recall, none.lead_s, none.flags_per_standing) == (None, None, None, None)


def test_partitions_that_are_many_hours_apart_are_recorded_as_well() -> None:
    record = TrackRecord(VERSION, DAY_MS, FORESIGHT_MS)
    for partition, hour in ((0, 30), (1, 10), (0, 31), (1, 11)):
        user = f"u{partition}"
        record.add(raised(hour * 60, user, FlagType.EMERGING), partition)
        record.add(raised(hour * 60 + 70, user, FlagType.ENTERED, 1), partition)
    for partition in (0, 1):
        record.advance(3 * DAY_MS, partition)
    week = quality(record, Role.CONNECTOR)
    assert (week.warnings, week.right, week.entries, week.foreseen) == (4, 4, 4, 4)


def test_warnings_of_a_partition_that_fell_silent_are_decided_by_the_others() -> None:
    record = recorded([raised(0, "ann", FlagType.EMERGING)])
    record.advance(2 * FORESIGHT_MS, 1)
    assert record.chance_of(None).flags == 0
    record.advance(2 * FORESIGHT_MS + 1, 1)
    assert record.chance_of(None).flags == 1


def test_history_that_is_counted_again_is_measured_again() -> None:
    month = 30 * 24 * 60
    flags = [raised(month, "ann", FlagType.EMERGING), raised(0, "ann", FlagType.EMERGING)]
    record = recorded([*flags, raised(60, "ann", FlagType.ENTERED, 1)], FORESIGHT_MS + 1)
    week = quality(record, Role.CONNECTOR)
    assert (week.warnings, week.right, week.foreseen) == (1, 1, 1)


def test_what_waits_and_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_record, "MOST_WAITING", 50)
    monkeypatch.setattr(flag_outcomes, "MOST_OPEN", 30)
    record = recorded([raised(number // 100, f"u{number}", FlagType.EMERGING) for number in range(500)])
    waiting = record._waiting[0]
    assert len(waiting.warnings) == len(waiting.by_standing) == 50
    assert len(record._lengths._open) == 30
    record.advance(DAY_MS)
    assert (len(waiting.warnings), len(waiting.by_standing)) == (0, 0)
    assert record.chance_of(None).flags < 400


def test_before_there_are_own_flags_the_chance_is_the_shipped_one() -> None:
    chance = recorded([]).chance_of(Reason.AT_THE_DOOR)
    assert chance == (0.65, 0, ChanceFrom.SHIPPED)
    week = TrackRecord(VERSION, 7 * DAY_MS, FORESIGHT_MS).chance_of(Reason.AT_THE_DOOR)
    assert week == (0.32, 0, ChanceFrom.SHIPPED)


@pytest.mark.parametrize("frequency", [0.05, 0.2, 0.4, 0.65, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_in_another_world_the_chance_corrects_itself(frequency: float, seed: int) -> None:
    """Sixty warnings a day that come true with quite another frequency: after five days it is the one stated."""
    record, flags = TrackRecord(VERSION, DAY_MS, FORESIGHT_MS), list[Flag]()
    for flag in _world(frequency, Random(seed)):
        chance = record.chance_of(flag.reason) if flag.type is FlagType.EMERGING else None
        stated = msgspec.structs.replace(flag, chance=chance and chance.part)
        record.add(stated)
        flags.append(stated)
    later = [flag for flag in flags if flag.event_time >= 5 * DAY_MS]
    tenths = calibration_of(outcomes_of(later, FORESIGHT_MS, 40 * DAY_MS).warned)
    assert sum(tenth.flags for tenth in tenths) > 1000
    assert [tenth for tenth in tenths if tenth.flags >= 30 and abs(tenth.stated - tenth.observed) > 0.05] == []
    assert (record.chance_of(WAYS[0]).source is ChanceFrom.OWN) or frequency == 0.65


def _world(frequency: float, random: Random) -> list[Flag]:
    flags = []
    for number in range(30 * 60):
        user, minute = f"u{number}", number * 24
        flags.append(raised(minute, user, FlagType.EMERGING, reason=random.choice(WAYS)))
        if random.random() < frequency:
            entered = raised(minute + random.randrange(1, 600), user, FlagType.ENTERED, 1, reason=Reason.ROSE)
            flags.append(entered)
    return sorted(flags, key=lambda flag: flag.event_time)
