"""High load: more events than can be counted, a large state, and users who come and go for days."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings
from tests.proof.contents import Recipe, Record, home_of, made
from tests.proof.crew import asked, rss_mb
from tests.proof.prove_kills import PATIENCE_S, finish
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import Stage, stage
from tests.proof.verifier import everything
from tests.servers.tracker import Worker

pytestmark = pytest.mark.timeout(1500)

MOST_MB = 512.0
SHARE_OF_CPU = 0.05
"""What a worker gets of the time while it is flooded: what comes is then twenty times what it can count."""
SLICE_S = 0.5
FLOOD_PER_SECOND = 50_000
READY_WITHIN_S = 10.0
DAY_MS = 86_400_000
EVENTS_A_DAY = 20_000
FLAT = 1.25
ALL_AT_ONCE = 10**9


@pytest.mark.promise(12)
def test_a_flood_neither_fills_the_memory_nor_loses_anything(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = made(Recipe(int(scale.flood_s * FLOOD_PER_SECOND), users=20_000, seed=12))
    # What gets a twentieth of the time takes twenty times as long: that is no standstill.
    patience = {"session_timeout_s": "30s", "stall_s": f"{Settings().stall_s / SHARE_OF_CPU:g}s"}
    with stage(brokers, "flood", tmp_path, given, 1, None, **patience) as on:
        on.until(lambda: on.crew.members[0].has_said("took over"), "partitions", PATIENCE_S)
        feeder = on.feed(FLOOD_PER_SECOND)
        with throttled(on.crew.members[0]):
            on.until(lambda: feeder.is_done, "everything produced", PATIENCE_S)
            counted = on.read()
        backlog, began_s = len(given.records) - counted, time.monotonic()
        on.until(lambda: on.read() >= len(given.records), "everything counted", PATIENCE_S)
        drained_s = time.monotonic() - began_s
        proof.figure(backlog=backlog, drained_s=drained_s, peak_mb=on.crew.peak_rss_mb)
        finish(on, proof)
        assert on.crew.peak_rss_mb <= MOST_MB
        assert not on.crew.endings


@contextmanager
def throttled(worker: Worker) -> Iterator[None]:
    """Let a process run for a small part of the time only."""
    stop = threading.Event()

    def throttle() -> None:
        while not stop.is_set():
            worker.process.send_signal(signal.SIGSTOP)
            time.sleep(SLICE_S * (1 - SHARE_OF_CPU))
            worker.process.send_signal(signal.SIGCONT)
            time.sleep(SLICE_S * SHARE_OF_CPU)

    thread = threading.Thread(target=throttle, name="throttle")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.alone
@pytest.mark.promise(13)
def test_a_cold_start_with_a_large_state_is_quick_and_shows_its_progress(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = made(Recipe(2 * scale.rows, users=scale.rows // 2, seed=13))
    rows = len(given.totals)
    with stage(brokers, "cold", tmp_path, given, workers=1) as on:
        on.feed(ALL_AT_ONCE)
        on.settle(PATIENCE_S)
        on.crew.scale(0)
        began_s = time.monotonic()
        on.crew.scale(1)
        worker = on.crew.members[0]
        remaining = []
        while asked(worker, "/readyz")[0] != 200:
            remaining.append(metric(worker, "influence_recovery_remaining_records"))
            assert time.monotonic() - began_s < PATIENCE_S
            time.sleep(0.1)
        ready_s = time.monotonic() - began_s
        seen = len({left for left in remaining if left})
        proof.figure(state_rows=rows, ready_s=ready_s, progress_seen=seen)
        assert seen or ready_s < READY_WITHIN_S / 2, "the metric did not show any progress"
        assert worker.has_said("restoring the ledgers: 0 of")
        finish(on, proof)
        assert ready_s <= READY_WITHIN_S


def metric(worker: Worker, name: str) -> float:
    """The value of a metric without labels; 0 where the worker does not export it."""
    lines = [line for line in asked(worker, "/metrics")[1].splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1]) if lines else 0.0


@pytest.mark.promise(14)
def test_neither_memory_nor_logs_grow_while_users_come_and_go(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    """Every day other users in other topics; the worker is killed and started again every few days.

    The funnel keeps who was there for a window and a gap, so the gap is a day: the days are to be more than that.
    """
    with stage(brokers, "rotating", tmp_path, made(Recipe(1)), workers=1, funnel_gap_s="24h") as on:
        keys, memory_mb = [], []
        for day in range(scale.days):
            on.contents = on.contents._replace(records=rotating(day))
            on.feed(EVENTS_A_DAY)
            wanted = (day + 1) * EVENTS_A_DAY
            on.until(lambda wanted=wanted: on.read() >= wanted, f"day {day}", PATIENCE_S)  # type: ignore[misc]
            on.during(7.0)
            keys.append(live_keys(on))
            memory_mb.append(rss_mb(on.crew.members[0].process.pid))
            if day % 3 == 2:
                on.crew.kill(*on.crew.members)
        half = scale.days // 2
        proof.figure(
            days=scale.days,
            users_a_day=EVENTS_A_DAY // 2,
            keys=f"{max(keys[2:half])} then {max(keys[half:])}",
            memory_mb=f"{max(memory_mb[2:half]):.0f} then {max(memory_mb[half:]):.0f}",
        )
        assert max(keys[half:]) <= FLAT * max(keys[2:half])
        assert max(memory_mb[half:]) <= FLAT * max(memory_mb[2:half])


def rotating(day: int) -> list[Record]:
    """The events of a day: each user twice, in topics of the day."""
    found = []
    for number in range(EVENTS_A_DAY):
        user = b"d%d-%d" % (day, number // 2)
        ts_ms = 1_704_067_200_000 + day * DAY_MS + number * DAY_MS // EVENTS_A_DAY
        value = b'{"event_id":"d%d-%d","ts":%d,"user_id":"%b","topics":["t%d-%d"],"audience":%d}' % (
            *(day, number, ts_ms, user, day, number % 20, 10_000 if number % 97 == 0 else 10),
        )
        found.append(Record(False, home_of(user), user, value))
    return found


def live_keys(on: Stage) -> int:
    """Keys of all compacted topics that have a value."""
    settings = on.run.settings
    total = 0
    for topic in (*changelogs_of(settings), settings.cuts_topic, settings.curves_topic):
        last = {(record.partition, record.key): record.value for record in everything(settings, topic)}
        total += sum(value is not None for value in last.values())
    return total
