"""What the old tracker set aside stays set aside in a migration, whatever letter stands for it, and is counted once."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from stream_app.core.events.dead_letter import TOO_MANY, DeadLetter, Origin, Shared
from stream_app.core.events.murmur2 import partitions_of
from stream_app.kafka.clients import open_consumer
from stream_app.kafka.topic_scan import partitions_of as partitions_in
from stream_app.kafka.topic_scan import read, spans
from stream_app.ops.migrate.input_copy import CopyReport, copy_inputs
from stream_app.ops.migrate.migration_plan import create_target_topics, migration_plan
from stream_app.settings import Settings
from tests.e2e.ops.migrate.test_migrate import leave
from tests.e2e.ops.test_letters_without_values import put_bare
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.raw_batches import bomb, produce_raw
from tests.servers.tracker import following, tracker, variables
from tests.unit.engine.packing import numbered
from tests.unit.ops.parts import PARTITIONS, dead_letter, made, produce, run, settings_of

ROOM = 100_000
WAIT_S = 60.0
NEW = 3
"""Every old partition has users in every new one."""
ANYBODY = [f"user-{number}".encode() for number in range(200)]
USERS = [user for user in ANYBODY if partitions_of([user], PARTITIONS)[0] == 1]


def copied(settings: Settings) -> set[bytes]:
    with open_consumer(settings) as consumer:
        places = partitions_in(consumer, settings.input_topics)
        return {record.value for record in read(consumer, spans(consumer, places))}


def shared_by(topic: str, reason: str, counts: dict[str, int], *ranges: tuple[int, int]) -> DeadLetter:
    (first, _), (_, last) = ranges[0], ranges[-1]
    return DeadLetter(Origin(topic, 1, first), None, None, reason, "", shared=Shared(last, counts, list(ranges)))


@BOTH_BROKERS
@pytest.mark.parametrize("bound", [ROOM, 10 * ROOM], ids=["unreadable", "readable since"])
def test_every_record_that_a_letter_stands_for_is_left_out_and_counted_in_every_run(brokers: str, bound: int) -> None:
    own = made(settings_of(brokers, f"aside{bound}{abs(hash(brokers))}", max_unpacked_bytes=ROOM))
    posts, _ = own.input_topics
    produce(own, posts, [(1, user, b"%d" % number, []) for number, user in enumerate(USERS[:30])])
    assert produce_raw(brokers, posts, 1, bomb(numbered(range(5)), "zstd", 5 * ROOM)) == 0
    produce(own, posts, [(1, user, b"%d" % number, []) for number, user in enumerate(USERS[30:60], 35)])
    letters = [
        dead_letter(posts, 2, partition=1),
        shared_by(posts, TOO_MANY, {"ahead-of-clock": 6, "invalid": 1}, (4, 8), (10, 11)),
        shared_by(posts, TOO_MANY, {"ahead-of-clock": 6, "invalid": 1}, (4, 8), (10, 11)),  # after a crash
        shared_by(posts, TOO_MANY, {"invalid": 3}, (20, 26)),  # of runs that are not known
        shared_by(posts, "batch-too-large", {"batch-too-large": 5}, (30, 34)),
        shared_by(posts, TOO_MANY, {"invalid": 2**40}, (10**9, 2**62)),  # that nobody has written
        shared_by("elsewhere", TOO_MANY, {"invalid": 60}, (0, 60)),
        dead_letter(posts, 3, partition=999_999_999),
    ]
    put_bare(own, *letters)
    plan = migration_plan(msgspec.structs.replace(own, max_unpacked_bytes=bound), NEW)
    create_target_topics(plan)
    gone = {2, *range(4, 9), 10, 11, *range(30, 35)}
    left = {number for number in range(65) if number not in gone}
    assert copy_inputs(plan) == CopyReport(len(left), 0, len(gone))
    assert copied(plan.after) == {b"%d" % number for number in left}
    assert copy_inputs(plan) == CopyReport(0, len(left), len(gone))


def test_a_record_that_was_copied_before_it_was_set_aside_is_counted_once(embedded_brokers: str) -> None:
    own = made(settings_of(embedded_brokers, "aside-later"))
    posts, _ = own.input_topics
    produce(own, posts, [(1, user, b"%d" % number, []) for number, user in enumerate(USERS[:10])])
    plan = migration_plan(own, NEW)
    create_target_topics(plan)
    assert copy_inputs(plan) == CopyReport(10, 0, 0)
    put_bare(own, dead_letter(posts, 2, partition=1), shared_by(posts, TOO_MANY, {"invalid": 20}, (4, 23)))
    assert copy_inputs(plan) == CopyReport(0, 10, 0)
    produce(own, posts, [(1, user, b"%d" % number, []) for number, user in enumerate(USERS[10:40], 10)])
    assert copy_inputs(migration_plan(own, NEW)) == CopyReport(16, 10, 14)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_counts_are_equal_after_shared_letters_and_a_batch_that_could_not_be_read(
    embedded_brokers: str, tmp_path: Path
) -> None:
    given = {"partitions": "2", "max_unpacked_bytes": str(ROOM), "dead_letters_per_s": "1", "max_ahead_s": "5"}
    with tracker(variables(embedded_brokers, "aside-counted", **given), tmp_path, workers=1) as tracked:
        settings, now_ms = tracked.settings, round(time.time() * 1000)
        events = [event(user, now_ms + (20_000 if number % 3 else 0)) for number, user in enumerate(USERS[:90])]
        with following(tracked, settings.curves_topic) as follower:
            produce(settings, settings.posts_topic, events)
            assert (
                produce_raw(embedded_brokers, settings.posts_topic, 1, bomb(numbered(range(5)), "zstd", 5 * ROOM)) == 0
            )
            follower.until_read(95, WAIT_S)
            assert (follower.seen.total("applied"), follower.seen.total("rejected")) == (30, 65)
            time.sleep(3.0)  # rounds after the last batch
    leave(settings)
    time.sleep(max(now_ms / 1000 + 20 - time.time(), 0))  # none of them is ahead of the clock now
    result = run(settings, "migrate", "--partitions", NEW, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["copied"], report["set_aside"], report["differences"]) == (30, 65, [])
    assert report["copy"] == {**report["before"], "rejected": 0}


def event(user: bytes, ts_ms: int) -> tuple[int, bytes, bytes, list[tuple[str, bytes]]]:
    value = {"event_id": user.decode(), "ts": ts_ms, "user_id": user.decode(), "audience": 10}
    return 1, user, json.dumps(value).encode(), []
