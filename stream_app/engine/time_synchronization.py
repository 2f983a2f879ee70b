"""Time synchronization: before a window moves on by much, it waits until Kafka has said that its sources are read up.

The problem: a window does not wait for a source that is read up. What a fetch says about the end of a source is old by
the time the next source is counted: a producer that makes up for an outage appends a day of posts and of shares in
between, and whichever is counted first would make the other's events late, although each topic is in order. Kafka
Streams fetches the lag of an empty partition before it goes on, for the same reason (KIP-695).

How: Kafka is asked every two seconds, and soon once the window has moved by half of what it may. So it is known where
the window ended when a source was read up. A source is doubted when the window would be so much further that what may
have come meanwhile would be late. A doubted source lags, until Kafka answers a question that was asked after the doubt
arose. If there is nothing more to read, whatever comes is newer than what the others had then, and the window may move
as far as that. Counting never waits: the consumer's own connection would answer behind the fetch that is under way.

    horizon  12:00 ── shares of 12:00 tomorrow are counted ──▶ posts are doubted, the window stays ── "all read" ──▶
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import Doubt, EngineContext, OwnedPartition, SeenAnswer
from stream_app.engine.liveness.broker_monitor import BrokerState
from stream_app.engine.liveness.lag import Lag
from stream_app.kafka.records import Partition

_SKEW_PANES = 2
"""By so much less than its length may a window move before the events of a source that was read up could be late."""


class Broker(Protocol):
    """Kafka, asked beside the consumer."""

    asked: int
    """Questions so far, the one under way included."""

    @property
    def answer(self) -> BrokerState:
        """The last answer."""

    def ask_soon(self) -> None:
        """Ask again, without waiting for it."""


class TimeSynchronization:
    """Decides which sources the windows wait for."""

    def __init__(self, context: EngineContext, broker: Broker) -> None:
        self._owned = context.owned
        self._topics = context.settings.input_topics
        self._leap_ms = context.settings.pane_ms * max(context.settings.panes - _SKEW_PANES, 1)
        self._lag = Lag(context)
        self._broker = broker

    def note_ends(self, ends: Mapping[Partition, int]) -> None:
        """Make the windows wait for sources that have unread records, given the ends of all sources."""
        for tp, end in ends.items():
            if (held := self._owned.get(tp.partition)) is not None:
                behind = max(end - held.store.ledger.source(tp.topic).position, 0)
                if behind and tp.topic in self._topics:  # a retraction says nothing about time
                    held.store.ledger.lagging.add(tp.topic)
                self._lag.look(held, tp, behind)

    def before_moving(self, partition: int, held: OwnedPartition, horizon: Callable[[], int]) -> None:
        """Have the window wait for doubtful sources, if it is about to move far: to `horizon()`, epoch ms."""
        self._settle(partition, held)
        ledger, target_ms = held.store.ledger, horizon()
        ahead_ms = {
            topic: target_ms - ledger.read_up_ms.get(topic, NO_TIME)
            for topic in self._topics
            if topic not in ledger.lagging
        }
        for topic in (topic for topic, ahead in ahead_ms.items() if ahead > self._leap_ms):
            held.doubts[topic] = Doubt(self._broker.asked, target_ms)
            ledger.lagging.add(topic)
        if max(ahead_ms.values(), default=0) > self._leap_ms // 2:
            self._broker.ask_soon()
        self._settle(partition, held)

    def _settle(self, partition: int, held: OwnedPartition) -> None:
        """End the doubts that an answer has come for, and note which sources it says are read up."""
        answer, ledger = self._broker.answer, held.store.ledger
        self._note_read_up(partition, held, answer)
        for topic, doubt in list(held.doubts.items()):
            end = answer.ends.get(Partition(topic, partition))
            if end is None or answer.number <= doubt.asked:
                continue
            del held.doubts[topic]
            if end <= ledger.source(topic).position:
                ledger.read_up_ms[topic] = doubt.target_ms
                ledger.lagging.discard(topic)

    def _note_read_up(self, partition: int, held: OwnedPartition, answer: BrokerState) -> None:
        """Note where the window ended before the question: the last answer but one had been seen by then."""
        if held.answers and held.answers[-1].number == answer.number:
            return
        ledger = held.store.ledger
        before = [seen.horizon_ms for seen in held.answers if seen.number <= answer.number - 2]
        held.answers = [*held.answers[-2:], SeenAnswer(answer.number, ledger.horizon)]
        for topic in self._topics if before else ():
            end = answer.ends.get(Partition(topic, partition))
            if topic not in ledger.lagging and end is not None and end <= ledger.source(topic).position:
                ledger.read_up_ms[topic] = max(before[-1], ledger.read_up_ms.get(topic, NO_TIME))
