"""Workers killed under load: nothing is lost and nothing is counted twice."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from stream_app.core.messages import Cut, Flag, FlagType
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import ReplayReport, replay
from tests.e2e.engine import load
from tests.naive import NaiveCut
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import Follower, Seen, Tracker, following, tracker, variables

pytestmark = pytest.mark.timeout(150)

KILLS = 3
PORTION_S = 3.0
"""Wall time over which the events of a portion are produced: a worker is killed in between."""
WAIT_S = 60.0
COUNTERS = ("applied", "duplicate", "late", "rejected")


def produce(run: Tracker, records: list[RecordedEvent], speed: float | None = None) -> ReplayReport:
    return replay(records, run.settings.brokers, run.settings, speed=speed)


def kill_one_while_events_come(run: Tracker, follower: Follower, number: int, produced: int) -> None:
    """Kill a worker when a part of the portion is counted, start another, and return when it has its partitions."""
    before = follower.seen.total("read")
    follower.until(lambda seen: seen.total("read") > before, "the first events of a portion", WAIT_S)
    assert follower.seen.total("read") < produced
    alive = [worker for worker in run.workers if worker.process.poll() is None]
    alive[number % len(alive)].kill()
    joining = run.start()
    follower.until(lambda _: "took over" in joining.said(), "partitions for the new worker", WAIT_S)


@BOTH_BROKERS
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
            follower.until_read(produced, WAIT_S)
            for number, portion in enumerate(load.portions(rest, KILLS)):
                produced += len(portion)
                producing = threads.submit(produce, run, portion, speed)
                kill_one_while_events_come(run, follower, number, produced)
                assert producing.result(WAIT_S).sent == len(portion)
                follower.until_read(produced, WAIT_S)
            expected = answers(load.cuts(events, s.share))
            assert {name: follower.seen.total(name) for name in COUNTERS} == {
                "applied": load.EVENTS,
                "duplicate": load.REPEATS,
                "late": load.LATE,
                "rejected": load.BAD,
            }
            follower.until(lambda seen: answers(seen.cuts) == expected, "the cuts", 20)
            follower.until(lambda seen: standings_without_a_flag(seen) == [], "the flag of every standing", 20)
            seen = follower.drain()
    assert produced == load.RECORDS
    assert records_of(seen, s.dead_letters_topic) == load.BAD
    assert records_of(seen, s.late_topic) == load.LATE
    assert seen.regressions == []


def answers(cuts: Mapping[tuple[str, str], Cut | NaiveCut]) -> dict[tuple[str, str], tuple[int, ...]]:
    return {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in cuts.items()}


def records_of(seen: Seen, topic: str) -> int:
    """Distinct records set aside: a crash may set one aside twice, which its origin shows."""
    origin = [f"__streams.errors.{name}" for name in ("topic", "partition", "offset")]
    headers = [dict(record.headers) for record in seen.records[topic]]
    return len({tuple(found[name] for name in origin) for found in headers})


def standings_without_a_flag(seen: Seen) -> list[bytes]:
    """Users whose last standing was never sent as a flag, or is over and not deleted yet, which is the last step."""
    sent = {msgspec.json.decode(record.value, type=Flag).flag_id for record in seen.records[seen.settings.flags_topic]}
    last = {record.key: record.value for record in seen.records[seen.settings.standings_topic]}
    standing = {key: msgspec.json.decode(value, type=Flag) for key, value in last.items() if value is not None}
    assert standing
    return [key for key, flag in standing.items() if flag.flag_id not in sent or flag.type is FlagType.LEFT]
