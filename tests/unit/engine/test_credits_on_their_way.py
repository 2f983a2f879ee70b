"""Credits from the share that earns them to the ledger of who gets them, and what may go wrong on the way."""

from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest

from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored import credit_packets
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.core.privacy.erasures import opt_out
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.signals.step_evidence import SharerSteps
from stream_app.core.signals.stored.step_packets import ReadTrials, SentUntil, encoded_progress, encoded_trials
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.kafka.records import Partition
from stream_app.settings.secret import Secret
from tests.unit.engine.fakes import NOW_MS, PARTITION, Crash, post, record, stored_after, user_of
from tests.unit.engine.parts import CHANGELOG, Parts

POSTS, SHARES, CREDITS = "influence.posts", "influence.shares", "influence.credits"
DEAD, LOG = "influence.dead-letters", "influence-segments-changelog"
ANN, BOB, ELSEWHERE = user_of(PARTITION), user_of(PARTITION, 1), user_of(PARTITION + 1)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEY = "a secret of sixteen"
EVERYBODY = ScopeName(DEFAULT_POPULATION, "*")


def share(offset: int, ts_ms: int, **fields: Any) -> Any:
    given = {"post_id": "p", "author_id": ANN, **fields}
    return post(offset, user=BOB, ts_ms=ts_ms, topic=SHARES, **given)


def packet(offset: int, *, name: str = ANN, ts_ms: int = NOW_MS - HOUR_MS, ids: tuple[int, ...] = (1,)) -> Any:
    """A packet of a recruit and seven impressions for each id."""
    ones = np.ones(len(ids), np.int64)
    credits_ = InfluenceCredits(
        *([name] * len(ids), 0 * ones, [EVERYBODY], ts_ms * ones, ones, 0 * ones, 7 * ones),
        *(np.array(ids, np.uint64), np.array(ids, np.uint64), np.array(ids, np.uint64)),
    )
    return record(offset, credit_packets.encode(credits_, PARTITION), None, CREDITS)


def said(offset: int, sent_ms: int, source: int = 0) -> Any:
    """How far a partition says that it has come."""
    return record(offset, encoded_progress(SentUntil(source, sent_ms)), None, CREDITS)


def tried(offset: int, judged_ms: int, in_step: int = 3) -> Any:
    """Three trials of somebody."""
    ones = np.ones(1, np.int64)
    steps = SharerSteps(ones.view(np.uint64), 3 * ones, in_step * ones, ones, ones, NOW_MS * ones)
    return record(offset, encoded_trials(ReadTrials(0, judged_ms, 0, steps)), None, CREDITS)


def counters(parts: Parts) -> tuple[int, ...]:
    source = parts.ledger.source(CREDITS)
    return source.applied, source.duplicate, source.late, source.rejected


def given(parts: Parts) -> dict[str, tuple[int, int]]:
    """Recruits and amplified by user."""
    rows, users = parts.ledger.rows, parts.ledger.users.names
    columns = (rows.users.tolist(), rows.values(2).tolist(), rows.amplified.tolist())
    return {users[user]: (recruits, amplified) for user, recruits, amplified in zip(*columns, strict=True)}


def sent_by(parts: Parts) -> list[Any]:
    """The packets of credits that were sent."""
    return [one for one in parts.fake.producer.of(CREDITS) if b"credits" in (one.value or b"")[:16]]


async def count_two(parts: Parts) -> None:
    """Count a share, and a later event that ends its pane, and decide."""
    await parts.count([share(0, NOW_MS - HOUR_MS)])
    await parts.count([post(0, user=BOB)])
    await parts.round()


async def decided() -> Parts:
    """A share that was decided."""
    parts = Parts()
    await count_two(parts)
    return parts


async def restarted(*before: Parts, flush: bool = True) -> Parts:
    """A new owner after these, in that order; without `flush` what was not durable is lost."""
    table: dict[bytes, bytes] = {}
    for parts in before:
        if flush:
            await parts.fake.producer.flush()
        for one in parts.fake.producer.of(LOG):
            if one.value is None:
                table.pop(one.key or b"", None)
            else:
                table[one.key or b""] = one.value
    new = Parts(hold=False)
    new.restore_table(table)
    assert await new.ownership.take_over({PARTITION}, len(before) + 1)
    return new


async def test_a_share_credits_its_author_once_its_pane_has_ended() -> None:
    parts = Parts()
    await parts.count([share(0, NOW_MS - HOUR_MS)])
    await parts.round()
    assert not sent_by(parts)
    await parts.count([post(0, user=BOB)])
    await parts.round()
    (sent,) = sent_by(parts)
    assert sent.partition == PARTITION
    await parts.count([record(0, sent.value, None, CREDITS)])
    assert given(parts)[ANN] == (1, 10)
    funnel = parts.store.funnel
    assert funnel is not None
    assert funnel.funnel.sums(EVERYBODY).recruited == 1
    assert funnel.credited.sums(EVERYBODY)[-2:] == (1, 1)


async def test_kafka_has_a_decision_before_its_credits_are_sent() -> None:
    parts = await decided()
    steps = parts.fake.producer.steps
    sent = steps.index(CREDITS)
    decision = max(place for place, step in enumerate(steps[:sent]) if step == LOG)
    assert "flush" in steps[decision:sent]
    assert "funnel" in {SegmentKey.decode(one.key or b"").kind for one in parts.fake.producer.of(LOG)}


async def test_a_new_owner_sends_what_may_be_unsent_with_the_same_ids() -> None:
    parts = await decided()
    new = await restarted(parts)
    assert sent_by(new) == sent_by(parts)
    new.store.write_state()  # it says that they are sent
    assert not sent_by(await restarted(parts, new))


async def test_a_crash_at_any_step_loses_and_doubles_nothing() -> None:
    steps = len((await decided()).fake.producer.steps)
    for step in range(steps):
        first = Parts()
        first.fake.producer.crash_before = step
        with suppress(Crash):
            await count_two(first)
        first.fake.producer.crash_before = -1
        new = await restarted(first, flush=False)
        await count_two(new)
        sent = [*sent_by(first), *sent_by(new)]
        assert sent, step
        await new.count([record(number, one.value, None, CREDITS) for number, one in enumerate(sent)])
        assert given(new)[ANN] == (1, 10), step
        assert counters(new) == (2, 2 * len(sent) - 2, 0, 0)  # a recruit and an amplifying share


async def test_credits_move_no_window_and_nothing_waits_for_them() -> None:
    parts = Parts()
    await parts.count([post(0, ts_ms=NOW_MS - 3 * HOUR_MS)])
    parts.fake.kafka.ended = {Partition(CREDITS, PARTITION): 9}
    await parts.count([packet(0)])
    parts.synchronization.note_ends(parts.fake.kafka.ended)
    assert parts.ledger.horizon == NOW_MS - 3 * HOUR_MS
    assert parts.ledger.lagging == set()
    assert parts.ledger.source(CREDITS).watermark == NO_TIME
    assert given(parts)[ANN] == (1, 7)


async def test_repeats_and_late_credits_count_once_or_not_at_all() -> None:
    parts = Parts()
    await parts.count([post(0)])
    await parts.count([packet(0, ids=(1, 2)), packet(1, ids=(2, 3)), packet(2, ids=(4,), ts_ms=NOW_MS - 2 * DAY_MS)])
    assert counters(parts) == (3, 1, 1, 0)
    assert given(parts)[ANN] == (3, 21)
    assert parts.ledger.source(CREDITS).position == 3
    again = await restarted(parts)
    assert given(again)[ANN] == (3, 21)
    assert again.store.funnel is not None
    assert again.store.funnel.credited.in_scope(EVERYBODY).recruits.tolist() == [3]


@pytest.mark.parametrize(
    "bad",
    [
        record(1, None, None, CREDITS),
        record(1, b"\x93", None, CREDITS),
        packet(1, name=ELSEWHERE),
        packet(1, ts_ms=NOW_MS + HOUR_MS),
        packet(1, ts_ms=5),
        said(1, NOW_MS + HOUR_MS),
        said(1, NOW_MS, source=64),
        tried(1, NOW_MS + HOUR_MS),
        tried(1, NOW_MS, in_step=9),
    ],
)
async def test_what_is_no_packet_for_this_partition_is_a_dead_letter(bad: Any) -> None:
    parts = Parts()
    await parts.count([packet(0, ids=(1,)), bad, packet(2, ids=(2,))])
    assert counters(parts) == (2, 0, 0, 1)
    (letter,) = parts.fake.producer.of(DEAD)
    assert b"packet of " in dict(letter.headers)["__streams.errors.message"]
    assert parts.ledger.source(CREDITS).position == 3


async def test_what_is_of_steps_is_no_unit_of_what_is_read() -> None:
    parts = Parts()
    await parts.count([packet(0), said(1, NOW_MS), tried(2, NOW_MS), tried(3, NOW_MS)])
    assert counters(parts) == (1, 0, 0, 0)
    assert parts.ledger.source(CREDITS).position == 4
    evidence = parts.store.signals.signals.evidence
    assert evidence.measured(np.ones(1, np.uint64)).events.tolist() == [3]
    again = (await restarted(parts)).store.signals.signals.evidence
    assert again.measured(np.ones(1, np.uint64)).events.tolist() == [3]


async def test_nobody_who_has_opted_out_is_credited_or_named() -> None:
    parts = Parts(person_key=Secret(KEY))
    for number, mark in enumerate(opt_out(PersonHashes(KEY), ANN, NOW_MS)):
        parts.fake.context.erasures.update(mark.key, mark.value, number)
    await parts.count([packet(0)])
    assert given(parts) == {}
    assert counters(parts) == (0, 0, 0, 1)
    await parts.count([share(0, NOW_MS - HOUR_MS)])
    await parts.count([post(0, user=BOB)])
    await parts.round()
    assert not [one for one in parts.fake.producer.durable if ANN.encode() in (one.value or b"")]
    funnel = parts.store.funnel
    assert funnel is not None
    assert funnel.funnel.sums(EVERYBODY).unknown == 1


async def test_who_is_erased_is_credited_no_more_and_named_nowhere() -> None:
    parts = await decided()
    (sent,) = sent_by(parts)
    await parts.count([record(0, sent.value, None, CREDITS)])
    parts.store.erase({ANN})
    parts.store.sweep(parts.store.sweepable())
    assert ANN not in given(parts)
    await parts.fake.producer.flush()
    log = stored_after(parts.fake.producer.of(CHANGELOG))
    assert not [key for key, value in log.items() if ANN.encode() in value]
    assert msgspec.msgpack.decode(sent.value or b"")[4] == [ANN]  # the topic keeps it for a week
