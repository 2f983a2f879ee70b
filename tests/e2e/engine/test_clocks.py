"""A worker whose clock is an hour behind: good events are not set aside, and are counted once the clock is set."""

import json
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaProducer

from tests.proof.crew import asked
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import WORKER_PROGRAM, following, tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(150)

EVENTS = 200
BEHIND_S = 3600
WAIT_S = 40.0
FRAME = "import time; from pathlib import Path; _real = time.time"


def command(trigger: Path) -> tuple[str, ...]:
    """A worker whose wall clock is behind until the file is there."""
    clock = f"time.time = lambda: _real() - (0 if Path({str(trigger)!r}).exists() else {BEHIND_S})"
    return (sys.executable, "-c", f"{FRAME}; {clock}\n{WORKER_PROGRAM}")


def produce(brokers: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=brokers)
    for number in range(EVENTS):
        user = f"user-{number % 40}"
        event = {"event_id": f"e{number}", "ts": round(time.time() * 1000), "user_id": user, "topics": ["tea"]}
        producer.send(topic, json.dumps(event).encode(), user.encode())
    producer.flush()
    producer.close()


@BOTH_BROKERS
def test_good_events_wait_for_a_worker_whose_clock_is_behind(brokers: str, tmp_path: Path) -> None:
    trigger = tmp_path / "set-by-ntp"
    given = variables(brokers, f"behind-{brokers.partition(':')[2]}", partitions="4", stall_s="60s")
    with tracker(given, tmp_path, workers=0) as run:
        s = run.settings
        worker = run.start(command(trigger))
        with following(run, s.curves_topic, s.dead_letters_topic, s.late_topic) as follower:
            assert eventually(lambda: worker.has_said("took over"), WAIT_S), worker.said()
            produce(brokers, s.posts_topic)
            assert eventually(lambda: worker.has_said("which may be wrong: waiting"), WAIT_S), worker.said()
            follower.poll()
            assert follower.seen.total("read") == 0
            assert "influence_clock_waits_total{" in asked(worker, "/metrics")[1]
            if worker.has_said("clock of this machine is"):  # where Kafka says what time it is
                status, text = asked(worker, "/readyz")
                assert status == 503
                assert "behind" in text
            trigger.touch()
            follower.until_read(EVENTS, WAIT_S)
            assert follower.seen.total("applied") == EVENTS
            assert follower.seen.records.get(s.dead_letters_topic, []) == []
            assert eventually(lambda: asked(worker, "/readyz")[0] == 200, WAIT_S)
