"""Thousands of events that are taken back, before and after they come: as if they had never been, kills or not."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from kafka import KafkaProducer

from stream_app.core.events.murmur2 import partitions_of
from stream_app.settings import Settings
from tests.e2e.engine import load
from tests.e2e.engine.test_kills import answers
from tests.servers.tracker import Tracker, following, tracker, variables

pytestmark = pytest.mark.timeout(240)

EVENTS, TAKEN, AGAIN, UNKNOWN = 24_000, 5_000, 500, 200
WAIT_S = 90.0


class Sent(NamedTuple):
    """A record, and when it is sent, in event time."""

    at_ms: int
    topic: str
    user: str
    value: bytes


def made(settings: Settings) -> tuple[list[load.Event], list[Sent]]:
    """The events that are left, and all records in the order in which they are sent."""
    rng = random.Random(11)
    events, _ = load.made()
    events = rng.sample(events, EVENTS)
    taken = events[:TAKEN]
    posts, shares = settings.input_topics
    sent = [
        Sent(
            event.ts_ms + rng.randrange(load.HOUR_MS // 2),
            shares if event.share else posts,
            event.user,
            event.record.value,
        )
        for event in events
    ]
    again = [*taken, *rng.sample(taken, AGAIN)]
    for event in again:
        # Half of them are sent long before or long after their event.
        at_ms = event.ts_ms + rng.randrange(-12, 12) * load.HOUR_MS if rng.random() < 0.5 else event.ts_ms
        event_id = msgspec.json.decode(event.record.value)["event_id"]
        sent.append(_retraction(settings, event.user, event_id, event.ts_ms, at_ms, share=event.share))
    last_ms = load.START_MS + load.SPAN_MS
    sent += [_retraction(settings, f"u{number}", "never", last_ms, last_ms, share=False) for number in range(UNKNOWN)]
    return events[TAKEN:], sorted(sent)


def _retraction(settings: Settings, user: str, event_id: str, ts_ms: int, at_ms: int, *, share: bool) -> Sent:
    what = {"kind": "retract", "of": "share" if share else "post", "event_id": event_id, "ts": ts_ms, "user_id": user}
    return Sent(at_ms, settings.retractions_topic, user, msgspec.json.encode(what))


def produce(run: Tracker, records: list[Sent]) -> int:
    """Send records in their order."""
    keys = [record.user.encode() for record in records]
    places = partitions_of(keys, run.settings.partitions).tolist()
    producer = KafkaProducer(bootstrap_servers=run.settings.brokers)
    for record, key, place in zip(records, keys, places, strict=True):
        producer.send(record.topic, record.value, key, partition=place)
    producer.flush()
    producer.close()
    return len(records)


def test_counts_are_those_of_a_run_without_the_events_that_were_taken_back(
    embedded_brokers: str, tmp_path: Path
) -> None:
    settings = {"window_s": "24h", "pane_s": "1h", "short_s": "2h", "batch_events": "500", "tick_s": "200ms"}
    environment = variables(embedded_brokers, "retractions", **settings)
    with tracker(environment, tmp_path, workers=2) as run, ThreadPoolExecutor(1) as threads:
        left, records = made(run.settings)
        with following(run, run.settings.curves_topic, run.settings.cuts_topic) as follower:
            half = len(records) // 2
            produced = produce(run, records[:half])
            follower.until(lambda seen: seen.total("read") > half // 4, "the first half begins", WAIT_S)
            producing = threads.submit(produce, run, records[half:])
            run.workers[0].kill()
            joining = run.start()
            follower.until(lambda _: "took over" in joining.said(), "partitions for the new worker", WAIT_S)
            produced += producing.result(WAIT_S)
            follower.until_read(produced, WAIT_S)
            expected = answers(load.cuts(left, run.settings.share))
            seen = follower.until(lambda seen: answers(seen.cuts) == expected, "the cuts", 30)
    assert seen.total("rejected") == 0
    assert seen.regressions == []
    of_retractions = [known.sources[run.settings.retractions_topic] for known in seen.statuses.values()]
    assert sum(source.read for source in of_retractions) == TAKEN + AGAIN + UNKNOWN
    assert sum(source.retracted for known in seen.statuses.values() for source in known.sources.values()) > TAKEN // 10
    assert seen.total("read") == len(records)


def _post(settings: Settings, user: str, event_id: str) -> Sent:
    event = {"event_id": event_id, "ts": load.START_MS, "user_id": user, "audience": 5}
    return Sent(0, settings.posts_topic, user, msgspec.json.encode(event))


def test_an_account_that_was_deleted_is_erased_where_that_is_allowed(embedded_brokers: str, tmp_path: Path) -> None:
    given = {"partitions": "1", "erase_by_event": "true", "person_key": "a secret of sixteen", "tick_s": "200ms"}
    with tracker(variables(embedded_brokers, "erase-by-event", **given), tmp_path, workers=1) as run:
        s = run.settings
        with following(run, s.curves_topic, s.erasures_topic) as follower:
            produce(run, [_post(s, "ann", "1"), _post(s, "bob", "1")])
            follower.until(lambda seen: [known.users for known in seen.statuses.values()] == [2], "two users", WAIT_S)
            erase = {"kind": "erase", "ts": load.START_MS, "user_id": "ann"}
            produce(run, [Sent(0, s.retractions_topic, "ann", msgspec.json.encode(erase))])
            follower.until(lambda seen: [known.users for known in seen.statuses.values()] == [1], "one user", WAIT_S)
            produce(run, [_post(s, "ann", "2")])
            seen = follower.until(lambda seen: seen.total("rejected") == 1, "a rejected post", WAIT_S)
    assert seen.statuses[0].sources[s.retractions_topic].applied == 1
    assert not any(b"ann" in (record.key or b"") for record in seen.records[s.erasures_topic])
