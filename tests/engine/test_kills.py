"""Workers killed under load: nothing is lost and nothing is counted twice."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from stream_app.core.messages import Flag, FlagType
from stream_app.local.events import RecordedEvent
from stream_app.local.replay import ReplayReport, replay
from tests.engine import load
from tests.engine.tracker import Follower, Seen, Tracker, following, tracker, variables

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

KILLS = 4
PORTION_S = 4.0
"""Wall time over which the events of a portion are produced: a worker is killed in between."""
WAIT_S = 60.0
COUNTERS = ("applied", "duplicate", "late", "rejected")


def produce(run: Tracker, records: list[RecordedEvent], speed: float | None = None) -> ReplayReport:
    return replay(records, run.settings.brokers, run.settings, speed=speed)


def partition_reads(seen: Seen) -> dict[int, int]:
    return {
        partition: sum(source.read for source in known.sources.values()) for partition, known in seen.statuses.items()
    }


def kill_one_while_events_come(
    run: Tracker, follower: Follower, producing: Future[ReplayReport], number: int, produced: int
) -> None:
    """Kill a worker once some of the portion is counted; return when every partition is counted on, or all is read."""
    before = follower.seen.total("read")
    follower.until(lambda seen: seen.total("read") > before, "the first events of a portion", WAIT_S)
    assert not producing.done()
    alive = [worker for worker in run.workers if worker.process.poll() is None]
    alive[number % len(alive)].kill()
    run.start()
    reads = partition_reads(follower.drain())

    def all_go_on(seen: Seen) -> bool:
        now = partition_reads(seen)
        return sum(now.values()) == produced or all(now[partition] > read for partition, read in reads.items())

    follower.until(all_go_on, f"every partition counted on after kill {number}", WAIT_S)


def test_totals_and_cuts_are_exact_although_workers_are_killed(brokers: str, tmp_path: Path) -> None:
    events, records = load.made()
    primer, rest = records[: len(records) // 12], records[len(records) // 12 :]
    speed = load.SPAN_MS / 1000 / KILLS / PORTION_S
    settings = {"window_s": "24h", "pane_s": "1h", "short_s": "2h", "batch_events": "500", "tick_s": "200ms"}
    with tracker(variables(brokers, "kills", **settings), tmp_path, workers=2) as run, ThreadPoolExecutor(1) as threads:
        s = run.settings
        outputs = (s.curves_topic, s.cuts_topic, s.flags_topic, s.standings_topic, s.dead_letters_topic, s.late_topic)
        with following(run, *outputs) as follower:
            produced = produce(run, primer).sent
            follower.until(lambda seen: seen.total("read") == produced, "the first events", WAIT_S)
            for number, portion in enumerate(load.portions(rest, KILLS)):
                produced += len(portion)
                producing = threads.submit(produce, run, portion, speed)
                kill_one_while_events_come(run, follower, producing, number, produced)
                assert producing.result(WAIT_S).sent == len(portion)
            expected = load.cuts(events, s.share)
            follower.until(lambda seen: seen.total("read") >= load.RECORDS, "all records", WAIT_S)
            assert {name: follower.seen.total(name) for name in COUNTERS} == {
                "applied": load.EVENTS,
                "duplicate": load.REPEATS,
                "late": load.LATE,
                "rejected": load.BAD,
            }
            follower.until(lambda seen: answers(seen) == {k: v[:5] for k, v in answers_of(expected).items()}, "cuts", 20)
            seen = follower.drain()
    assert produced == load.RECORDS
    assert letters(seen, s.dead_letters_topic) == load.BAD
    assert letters(seen, s.late_topic) == load.LATE
    assert seen.regressions == []
    assert standings_without_a_flag(seen) == []


def answers(seen: Seen) -> dict[tuple[str, str], tuple[int, ...]]:
    return answers_of(seen.cuts)


def answers_of(cuts: object) -> dict[tuple[str, str], tuple[int, ...]]:
    assert isinstance(cuts, dict)
    return {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in cuts.items()}


def letters(seen: Seen, topic: str) -> int:
    """Distinct records set aside: a crash may set one aside twice, which its origin shows."""
    origins = Counter()
    for record in seen.records[topic]:
        headers = dict(record.headers)
        origins[tuple(headers[f"__streams.errors.{name}"] for name in ("topic", "partition", "offset"))] += 1
    return len(origins)


def standings_without_a_flag(seen: Seen) -> list[bytes]:
    """Users whose last standing was never sent as a flag."""
    sent = {msgspec.json.decode(record.value, type=Flag).flag_id for record in seen.records[seen.settings.flags_topic]}
    last = {record.key: record.value for record in seen.records[seen.settings.standings_topic]}
    standing = {key: msgspec.json.decode(value, type=Flag) for key, value in last.items() if value is not None}
    assert standing
    assert all(flag.type is not FlagType.LEFT for flag in standing.values())
    return [key for key, flag in standing.items() if flag.flag_id not in sent]
