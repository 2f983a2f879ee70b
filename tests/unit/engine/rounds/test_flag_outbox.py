"""Flags through crashes: each is sent at least once, repeats have the same id, and none is invented."""

from collections import Counter
from itertools import count

import msgspec
import pytest

from stream_app.core.changelog.standing_records import kept, standing_key
from stream_app.core.flags.standing import CODE_OF, NONE
from stream_app.core.messages import Flag, FlagType, Role
from stream_app.core.state.ledger import Ledger
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from tests.board_samples import a_flag
from tests.unit.engine.fakes import NOW_MS, PARTITION, Crash, Surroundings, stored_after
from tests.unit.engine.parts import Parts

CHANGELOG = "influence-standings-changelog"
FLAGS = "influence.flags"


def flag(user: str, kind: FlagType, detected_at: int) -> Flag:
    return msgspec.structs.replace(
        a_flag(user, "phone", flag_id=f"{user}-{kind}-{detected_at}", flag_type=kind, eta_s=None),
        role=Role.MAVEN,
        event_time=NOW_MS,
        detected_at=detected_at,
    )


FIRST = [flag(user, FlagType.ENTERED, 1000) for user in "abc"]
SECOND = [flag("a", FlagType.LEFT, 2000), flag("b", FlagType.FADING, 2000), flag("d", FlagType.EMERGING, 2000)]


def outbox_of(fake: Surroundings) -> FlagOutbox:
    return FlagOutbox(fake.standings, fake.context.output, fake.meter, lambda _partition, _flags: None)


def standings_after(*runs: Surroundings) -> dict[bytes, bytes]:
    """What the standings topic holds after these workers, one after the other."""
    return stored_after(written for run in runs for written in run.producer.of(CHANGELOG))


def sent(*runs: Surroundings) -> Counter[str]:
    """How often each flag reached Kafka."""
    records = [record for run in runs for record in run.producer.of(FLAGS)]
    return Counter(msgspec.json.decode(record.value or b"", type=Flag).flag_id for record in records)


def timed(outbox: FlagOutbox, flags: list[Flag]) -> list[Flag]:
    """The flags as an evaluation makes them, when the clock says what stands in them."""
    now_ms = max((flag.detected_at for flag in flags), default=0)
    detected_at = outbox.detection_ms(PARTITION, now_ms)
    return [msgspec.structs.replace(flag, detected_at=detected_at) for flag in flags]


def new_ledger() -> Ledger:
    return Ledger(1000, 4, 2)


async def crashed(first: list[Flag], second: list[Flag], step: int, reached: int) -> Surroundings | None:
    """A worker that dies before a step of the second evaluation; of what it had put `reached` records get through."""
    fake = Surroundings()
    outbox = outbox_of(fake)
    await outbox.raise_flags(PARTITION, first)
    await fake.producer.flush()
    fake.producer.crash_before = len(fake.producer.steps) + step
    try:
        await outbox.raise_flags(PARTITION, timed(outbox, second))
        await fake.producer.flush()
    except Crash:
        fake.producer.durable += fake.producer._open[:reached]
        return fake
    return None


async def after_crash(dead: Surroundings, decided: list[Flag]) -> Surroundings:
    """A new owner: takes over, and decides anew what the dead one had not made durable."""
    fake = Surroundings()
    stored = standings_after(dead)
    for key, value in stored.items():
        fake.standings.data.data[key] = kept(value)
        fake.standings._partitions[key] = PARTITION
    outbox = outbox_of(fake)
    await outbox.take_over(PARTITION, fake.standings.of_partition(PARTITION), new_ledger())
    known = {written.value for written in dead.producer.of(CHANGELOG)}
    missing = [flag for flag in decided if msgspec.json.encode(flag) not in known]
    await outbox.raise_flags(PARTITION, timed(outbox, missing))
    await fake.producer.flush()
    return fake


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
async def test_a_crash_between_any_two_steps_loses_no_flag(reached: int) -> None:
    every = {flag.flag_id for flag in [*FIRST, *SECOND]}
    for step in count():
        dead = await crashed(FIRST, SECOND, step, reached)
        if dead is None:
            break
        new = await after_crash(dead, SECOND)
        assert set(sent(dead, new)) == every, f"crash before step {step}"
        left = standings_after(dead, new)
        assert set(left) == {standing_key(flag) for flag in [*FIRST[1:], *SECOND[1:]]}
    assert step >= 9


async def test_flags_sent_before_the_crash_are_repeated_with_the_same_id() -> None:
    dead = await crashed(FIRST, SECOND, step=9, reached=0)
    assert dead is not None
    new = await after_crash(dead, SECOND)
    assert sent(dead)["b-fading-2000"] == sent(new)["b-fading-2000"] == 1
    assert sent(new)["c-entered-1000"] == 0


async def test_a_flag_is_sent_although_the_clock_of_the_last_owner_was_behind() -> None:
    """Workers are on different machines: what is decided later may bear the earlier time."""
    behind = [msgspec.structs.replace(flag, detected_at=990) for flag in SECOND]
    durable_but_unsent = len(behind) + 1
    dead = await crashed(FIRST, behind, durable_but_unsent, reached=0)
    assert dead is not None
    new = await after_crash(dead, behind)
    assert set(sent(dead, new)) == {flag.flag_id for flag in [*FIRST, *behind]}


async def test_standings_are_in_kafka_before_their_flags_are_sent() -> None:
    fake = Surroundings()
    await outbox_of(fake).raise_flags(PARTITION, FIRST)
    assert fake.producer.steps == [*[CHANGELOG] * 3, "flush", *[FLAGS] * 3, "flush"]


async def test_a_standing_that_ended_is_deleted_after_its_flag() -> None:
    fake = Surroundings()
    outbox = outbox_of(fake)
    await outbox.raise_flags(PARTITION, FIRST[:1])
    steps = len(fake.producer.steps)
    await outbox.raise_flags(PARTITION, SECOND[:1])
    assert fake.producer.steps[steps:] == [CHANGELOG, "flush", FLAGS, "flush", CHANGELOG]
    assert fake.standings.of_partition(PARTITION) == {}


async def test_standings_are_taken_up_with_their_codes() -> None:
    fake = Surroundings()
    flags = [*FIRST[:1], *SECOND[1:]]
    ledger = new_ledger()
    stored = {standing_key(flag): kept(msgspec.json.encode(flag)) for flag in [*flags, flag("e", FlagType.LEFT, 5)]}
    await outbox_of(fake).take_over(PARTITION, stored, ledger)
    standings = dict(zip(ledger.users.names, ledger.rows.standings[0].tolist(), strict=False))
    assert standings == {**{flag.user_id: CODE_OF[flag.type] for flag in flags}, "e": NONE}


async def test_a_partition_without_standings_sends_no_flag() -> None:
    fake = Surroundings()
    await outbox_of(fake).take_over(PARTITION, {}, new_ledger())
    assert fake.producer.of(FLAGS) == []


async def test_a_listener_receives_the_flags_of_the_partition() -> None:
    parts = Parts()
    await parts.outbox.raise_flags(PARTITION, FIRST)
    parts.listener.assert_called_once_with(PARTITION, FIRST)


async def test_a_flag_sent_again_at_a_take_over_is_not_counted_again() -> None:
    dead = Surroundings()
    await outbox_of(dead).raise_flags(PARTITION, FIRST)
    assert dead.meter.flags.call_count > 0
    new = Surroundings()
    stored = {key: kept(value) for key, value in standings_after(dead).items()}
    await outbox_of(new).take_over(PARTITION, stored, Ledger(900_000, 4, 1))
    assert sent(new).total() > 0
    assert new.meter.flags.call_count == 0
