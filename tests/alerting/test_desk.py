"""The active instance, killed between any two writes: what the sinks get, played against a journal in memory."""

from collections import Counter
from queue import SimpleQueue
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.dispatch import Dispatcher, OutgoingMessage
from stream_app.alerts.flag_consumer import Read
from stream_app.alerts.metrics import AlertMetrics
from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, Outcome
from stream_app.alerts.sinks.retry import RetrySchedule
from stream_app.alerts.sinks.sink_workers import Done
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import Record
from stream_app.core.messages import Flag, Undelivered
from tests.alerting.parts import SECRET, a_flag, parsed_file

HOUR_MS = 3_600_000
START_MS = 1_770_000_000_000
SINKS = ("chat", "crm")
HOOK = {"kind": "webhook", "url": "https://h.example.org", "secret": SECRET}


class KilledError(Exception):
    """Here the process ends."""


class Topic:
    """What is in Kafka, whatever happens to the process."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.undelivered: list[Undelivered] = []
        self.writes_left = 10**9

    def write(self, records: dict[str, Record | None]) -> None:
        for key, record in records.items():
            self._count()
            self.records.pop(key, None)
            if record is not None:
                self.records[key] = state_records.encode(record)

    def give_up(self, message: Undelivered) -> None:
        self._count()
        self.undelivered.append(message)

    def _count(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KilledError


class Inline(OutgoingMessage):
    """Lines without threads: a message is sent when it is given."""

    def __init__(self, got: list[tuple[str, str]], refusing: str) -> None:
        self.done: SimpleQueue[Done] = SimpleQueue()
        self.schedules = {sink: RetrySchedule() for sink in SINKS}
        self.busy: dict[str, str] = {}
        self.lines: dict[str, Any] = {sink: _Line(sink, self.done, got, sink == refusing) for sink in SINKS}


class _Line:
    def __init__(self, sink: str, done: "SimpleQueue[Done]", got: list[tuple[str, str]], refuses: bool) -> None:
        self._sink, self._done, self._got, self._refuses = sink, done, got, refuses

    def give(self, key: str, message: AlertMessage) -> None:
        if not self._refuses:
            self._got.extend((self._sink, flag.flag_id) for flag in message.flags)
        result = Outcome(DeliveryResult.REFUSED, "no") if self._refuses else Outcome(DeliveryResult.DELIVERED)
        self._done.put(Done(self._sink, key, result))


def started(
    file: AlertsFile, topic: Topic, got: list[tuple[str, str]], refusing: str
) -> tuple[Dispatcher, OutgoingMessage]:
    """An instance that takes up what is there."""
    state = NotificationState(file)
    for key, value in topic.records.items():
        state.take(key, state_records.decode(key, value))
    producer = Inline(got, refusing)
    return Dispatcher(state, topic, producer, AlertMetrics(CollectorRegistry(), [*SINKS])), producer


def work(desk: Dispatcher, producer: OutgoingMessage, flags: list[Flag], now_ms: int) -> None:
    """As the loop of the process does; flags before the position are read no more."""
    position = (desk.state.positions or {}).get(0, 0)
    desk.read([Read(0, n + 1, flag) for n, flag in enumerate(flags) if n >= position], now_ms)
    desk.make_digests(now_ms)
    for _ in range(2 * len(flags) + 2):
        desk.hand_out(now_ms)
        while done := producer.finished(0):
            desk.settle(done, now_ms)
    desk.expire(now_ms)


@settings(max_examples=150, deadline=None)
@given(
    kills=st.lists(st.integers(0, 12), max_size=6),
    limit=st.integers(1, 4),
    repeats=st.lists(st.integers(0, 5), max_size=3),
    refusing=st.sampled_from(("", "chat")),
)
def test_whatever_write_it_is_killed_at_every_sink_gets_every_flag_and_repeats_only_what_was_not_noted(
    kills: list[int], limit: int, repeats: list[int], refusing: str
) -> None:
    rule = {"name": "r", "sinks": [*SINKS], "per_hour": limit, "cooldown": "1s"}
    file = parsed_file({"sinks": dict.fromkeys(SINKS, HOOK), "rules": [rule]})
    topic, got = Topic(), list[tuple[str, str]]()
    flags = [a_flag(f"f{n}", user_id=f"u{n}", detected_at=START_MS) for n in range(6)]
    flags += [flags[n] for n in repeats]
    for number, writes in enumerate([*kills, 10**9]):
        topic.writes_left = writes
        desk, producer = started(file, topic, got, refusing)
        try:
            work(desk, producer, flags, START_MS + number)
            work(desk, producer, flags, START_MS + number + HOUR_MS)  # when the digest is due
        except KilledError:
            continue
    takers = [sink for sink in SINKS if sink != refusing]
    wanted = {(sink, f"f{n}") for sink in takers for n in range(6)}
    assert {*got} == wanted
    told = Counter(got)
    # A message that a kill repeats is one flag, or a digest with some.
    assert sum(told.values()) - len(wanted) <= len(kills) * len(takers) * 6
    if not kills:
        assert set(told.values()) == {1}
    refused = {flag.flag_id for message in topic.undelivered for flag in message.flags}
    assert refused == ({f"f{n}" for n in range(6)} if refusing else set())
    assert all(message.sink == refusing and message.reason == "no" for message in topic.undelivered)


def test_a_key_that_somebody_else_has_written_is_set_right_and_one_that_is_deleted_stays_so() -> None:
    file = parsed_file({"sinks": {"chat": HOOK, "crm": HOOK}, "rules": [{"name": "r", "sinks": ["crm"]}]})
    topic, got = Topic(), list[tuple[str, str]]()
    desk, producer = started(file, topic, got, "")
    flags = [a_flag("f1", detected_at=START_MS)]
    work(desk, producer, flags, START_MS)
    right = dict(topic.records)
    stale = msgspec.structs.replace(desk.state.entries["f1"], pending=("crm",))
    topic.write({"flag/f1": stale, "positions": state_records.Positions(offsets={0: 0})})
    for key in ("flag/f1", "positions", "digest/9", "flag/f9"):
        desk.insist(key)
    assert topic.records == right
    del topic.records["flag/f1"]
    desk.forget("flag/f1")
    assert "flag/f1" not in topic.records
    assert not desk.state.entries
