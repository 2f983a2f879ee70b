"""The work of a leader that is killed between any two writes, with a state topic in memory: what the sinks get."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.dispatch import Dispatcher
from stream_app.alerts.flag_consumer import ConsumedFlag
from stream_app.alerts.leadership import Leadership
from stream_app.alerts.metrics import AlertMetrics
from stream_app.alerts.service import drain
from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome, DeliveryResult
from stream_app.alerts.sinks.sink_workers import SinkWorkers
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import StateRecord
from stream_app.core.messages import Flag, Undelivered
from tests.unit.alerts.parts import SECRET, a_flag, parsed_file

HOUR_MS = 3_600_000
START_MS = 1_770_000_000_000
SINKS = ("chat", "crm")
SEND_S = 10.0
HOOK = {"kind": "webhook", "url": "https://h.example.org", "secret": SECRET}


class KilledError(Exception):
    """The process ends here."""


class Topic:
    """The topics in Kafka: they outlive the process."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.undelivered: list[Undelivered] = []
        self.writes_left = 10**9

    def write(self, records: dict[str, StateRecord | None]) -> None:
        for key, record in records.items():
            self._count()
            self.records.pop(key, None)
            if record is not None:
                self.records[key] = state_records.encode(record)

    def write_undelivered(self, message: Undelivered) -> None:
        self._count()
        self.undelivered.append(message)

    def _count(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KilledError


class FakeSender:
    """Records the flags that it is sent, or refuses every message."""

    def __init__(self, sink: str, got: list[tuple[str, str]], *, refuses: bool) -> None:
        self._sink, self._got, self._refuses = sink, got, refuses

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        if self._refuses:
            return DeliveryOutcome(DeliveryResult.REFUSED, "no")
        self._got.extend((self._sink, flag.flag_id) for flag in message.flags)
        return DeliveryOutcome(DeliveryResult.DELIVERED)


@contextmanager
def sink_workers(got: list[tuple[str, str]], refusing: str = "") -> Iterator[SinkWorkers]:
    senders = {sink: FakeSender(sink, got, refuses=sink == refusing) for sink in SINKS}
    with closing(SinkWorkers(senders, may_send=lambda: True)) as workers:
        yield workers


def restarted(file: AlertsFile, topic: Topic, workers: SinkWorkers) -> Dispatcher:
    """A leader that has read the topic."""
    state = NotificationState(file)
    for key, value in topic.records.items():
        state.apply(key, state_records.decode(key, value))
    return Dispatcher(state, topic, workers, AlertMetrics(CollectorRegistry(), [*SINKS]))


def work(dispatcher: Dispatcher, workers: SinkWorkers, flags: list[Flag], now_ms: int) -> None:
    """Rounds of the service's loop, until nothing is to be sent; flags before the offset are not read again."""
    offset = (dispatcher.state.offsets or {}).get(0, 0)
    dispatcher.route([ConsumedFlag(0, n + 1, flag) for n, flag in enumerate(flags) if n >= offset], now_ms)
    dispatcher.make_digests(now_ms)
    dispatcher.dispatch(now_ms)
    while workers.sending:
        attempt = workers.finished(SEND_S)
        assert attempt is not None
        dispatcher.settle(attempt, now_ms)
        dispatcher.dispatch(now_ms)
    dispatcher.expire(now_ms)


@settings(max_examples=150)
@given(
    kills=st.lists(st.integers(0, 12), max_size=6),
    limit=st.integers(1, 4),
    repeats=st.lists(st.integers(0, 5), max_size=3),
    refusing=st.sampled_from(("", "chat")),
)
def test_killed_at_any_write_it_delivers_every_flag_and_repeats_only_what_was_not_recorded(
    kills: list[int], limit: int, repeats: list[int], refusing: str
) -> None:
    rule = {"name": "r", "sinks": [*SINKS], "per_hour": limit, "cooldown": "1s"}
    file = parsed_file({"sinks": dict.fromkeys(SINKS, HOOK), "rules": [rule]})
    topic, got = Topic(), list[tuple[str, str]]()
    flags = [a_flag(f"f{n}", user_id=f"u{n}", detected_at=START_MS) for n in range(6)]
    flags += [flags[n] for n in repeats]
    for number, writes in enumerate([*kills, 10**9]):
        topic.writes_left = writes
        with sink_workers(got, refusing) as workers:
            dispatcher = restarted(file, topic, workers)
            with suppress(KilledError):
                work(dispatcher, workers, flags, START_MS + number)
                work(dispatcher, workers, flags, START_MS + number + HOUR_MS)  # when the digest is due
    accepting = [sink for sink in SINKS if sink != refusing]
    wanted = {(sink, f"f{n}") for sink in accepting for n in range(6)}
    assert {*got} == wanted
    deliveries = Counter(got)
    # A kill repeats at most one message for each sink: one flag, or a digest of up to six.
    assert sum(deliveries.values()) - len(wanted) <= len(kills) * len(accepting) * 6
    if not kills:
        assert set(deliveries.values()) == {1}
    refused = {flag.flag_id for message in topic.undelivered for flag in message.flags}
    assert refused == ({f"f{n}" for n in range(6)} if refusing else set())
    assert all(message.sink == refusing and message.reason == "no" for message in topic.undelivered)


def one_rule_for_crm() -> AlertsFile:
    return parsed_file({"sinks": {"chat": HOOK, "crm": HOOK}, "rules": [{"name": "r", "sinks": ["crm"]}]})


def test_a_key_that_another_instance_has_written_is_restored_and_a_deleted_one_stays_deleted() -> None:
    topic, flags = Topic(), [a_flag("f1", detected_at=START_MS)]
    with sink_workers([]) as workers:
        dispatcher = restarted(one_rule_for_crm(), topic, workers)
        work(dispatcher, workers, flags, START_MS)
        right = dict(topic.records)
        stale = msgspec.structs.replace(dispatcher.state.flags["f1"], pending=("crm",))
        topic.write({"flag/f1": stale, "positions": state_records.OffsetsRecord(offsets={0: 0})})
        for key in ("flag/f1", "positions", "digest/9", "flag/f9"):
            dispatcher.restore(key)
        assert topic.records == right
        del topic.records["flag/f1"]
        dispatcher.delete("flag/f1")
    assert "flag/f1" not in topic.records
    assert not dispatcher.state.flags


def test_an_outcome_that_could_not_be_written_is_written_in_the_next_term_and_the_message_is_not_sent_again() -> None:
    topic, got = Topic(), list[tuple[str, str]]()
    file, flags = one_rule_for_crm(), [a_flag("f1", detected_at=START_MS)]
    with sink_workers(got) as workers:
        topic.writes_left = 2  # the flag and the offsets, but not the outcome
        with pytest.raises(KilledError):
            work(restarted(file, topic, workers), workers, flags, START_MS)
        topic.writes_left = 10**9
        dispatcher = restarted(file, topic, workers)
        assert dispatcher.state.pending("crm") == ["flag/f1"]
        work(dispatcher, workers, flags, START_MS)
        assert dispatcher.state.pending("crm") == []
    assert got == [("crm", "f1")]


class LapsedLeadership(Leadership):
    """A leader whose membership the group confirms only after some polls."""

    def __init__(self, unconfirmed_polls: int, *, lost: bool = False) -> None:
        self._unconfirmed_polls, self._is_lost, self.ended = unconfirmed_polls, lost, 0

    def poll(self, timeout_ms: int) -> list[Any]:
        del timeout_ms
        self._unconfirmed_polls -= 1
        return []

    def is_member(self) -> bool:
        return self._unconfirmed_polls < 0

    def is_lost(self) -> bool:
        return self._is_lost

    def end_term(self) -> None:
        self.ended += 1


def test_a_term_does_not_end_before_the_outcomes_are_written_although_the_membership_lapses_for_a_moment() -> None:
    topic, leadership = Topic(), LapsedLeadership(unconfirmed_polls=3)
    with sink_workers([]) as workers:
        dispatcher = restarted(one_rule_for_crm(), topic, workers)
        dispatcher.route([ConsumedFlag(0, 1, a_flag("f1", detected_at=START_MS))], START_MS)
        dispatcher.dispatch(START_MS)
        drain(leadership, workers, dispatcher)
    assert dispatcher.state.pending("crm") == []
    assert leadership.ended == 1


def test_an_instance_that_has_lost_its_leadership_writes_no_outcome() -> None:
    topic, leadership = Topic(), LapsedLeadership(unconfirmed_polls=0, lost=True)
    with sink_workers([]) as workers:
        dispatcher = restarted(one_rule_for_crm(), topic, workers)
        dispatcher.route([ConsumedFlag(0, 1, a_flag("f1", detected_at=START_MS))], START_MS)
        dispatcher.dispatch(START_MS)
        drain(leadership, workers, dispatcher)
    assert dispatcher.state.pending("crm") == ["flag/f1"]
    assert leadership.ended == 1
