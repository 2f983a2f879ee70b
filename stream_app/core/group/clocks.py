"""Clocks: by how much this worker's clock differs from the others, and whose fault an event ahead of it is.

The problem: an event that is dated ahead of the clock would move the window past all others, so it becomes a dead
letter. If the worker's own clock is behind, that happens to every good event.

Witnesses that a producer cannot influence decide: Kafka's clock, which stamps what this worker writes to a topic with
`message.timestamp.type=LogAppendTime`, and the clocks in the announcements of the other workers. A difference says how
far the other clock is ahead of ours.

    ours        ├──────── max_ahead ────────┤ limit
    reference              (+1 h)  ├──────── max_ahead ────────┤ limit
    event             counted      │      disputed: wait       │ ahead of both: the producer is wrong

Without any witness the record times of Kafka are all there is. Producers write them, so they are believed for a while
only, longer if several partitions agree.
"""

from typing import NamedTuple

from stream_app.core.arrays import Floats, Mask

TOLERANCE_S = 60.0
"""A difference between clocks up to this is no fault."""
_DOUBT_S = 10.0
"""Without a witness, a single partition from the future is waited for this long."""
_DOUBT_SEVERAL_S = 30.0
"""If others come from the same future, this long: anybody can write such records, so it has an end."""
_FORGET_S = 60.0


class ClockDoubtError(Exception):
    """This worker's clock may be wrong, and cannot judge these events: they are judged again later."""


class Reference(NamedTuple):
    """How far the right time, as far as is known, is ahead of this worker's clock."""

    ahead_s: float
    is_certain: bool
    """Whether more than one witness, or Kafka itself, says so."""

    @property
    def is_off(self) -> bool:
        """Whether this worker's clock is wrong."""
        return abs(self.ahead_s) > TOLERANCE_S


class Clocks:
    """The differences between this worker's clock and others, and the partitions that came from the future."""

    def __init__(self) -> None:
        self.broker_ahead_s: float | None = None
        """How far Kafka's clock is ahead; None if it is not known."""
        self.peers_ahead_s: dict[str, float] = {}
        """The same of the other live workers."""
        self._doubts: dict[tuple[str, int], tuple[float, float]] = {}
        """By partition from the future: since when, and when last."""
        self._near_s = float("-inf")
        """When a record with a time near ours came last."""

    @property
    def reference(self) -> Reference | None:
        """What the clocks say together: their median; of two, the other one. None if there is no other."""
        others = [*self.peers_ahead_s.values()]
        if self.broker_ahead_s is not None:
            others.append(self.broker_ahead_s)
        if not others:
            return None
        if len(others) == 1:
            return Reference(others[0], self.broker_ahead_s is not None)
        ranked = sorted((0.0, *others))
        middle = {ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]}
        casting = self.broker_ahead_s or 0.0
        return Reference(min(middle, key=lambda ahead_s: abs(ahead_s - casting)), is_certain=True)

    @property
    def complaint(self) -> str:
        """What is wrong with this worker's clock, and what to do; empty if nothing is, as far as is known."""
        found = self.reference
        if found is None or not (found.is_off and found.is_certain):
            return ""
        way = "behind" if found.ahead_s > 0 else "ahead of"
        return (
            f"the clock of this machine is {abs(found.ahead_s):,.0f} s {way} those of Kafka and the other workers: "
            "set it by NTP; events on which the clocks disagree are waited for until then"
        )

    def note_record_time(self, ahead_s: float, now_s: float) -> None:
        """Note that a record came whose Kafka timestamp is so far ahead of our clock."""
        if abs(ahead_s) <= TOLERANCE_S:
            self._near_s = now_s
            self._doubts.clear()

    @property
    def least_ahead_s(self) -> float:
        """How far the earlier of our clock and the reference is ahead of ours: 0 or less."""
        found = self.reference
        return min(found.ahead_s, 0.0) if found is not None else 0.0

    def judge(
        self, source: tuple[str, int], ts_ahead_s: Floats, stamped_ahead_s: float, max_ahead_s: float, now_s: float
    ) -> Mask:
        """Return which events of a batch are ahead by their producer's fault. Raises ClockDoubtError.

        `ts_ahead_s`: how far the events are ahead of our clock; `stamped_ahead_s`: the same of the earliest of their
        Kafka timestamps; `now_s`: a monotonic clock.
        """
        found = self.reference
        if found is None:
            ahead: Mask = ts_ahead_s > max_ahead_s
            if ahead.all() and self._may_be_ours(source, stamped_ahead_s, now_s):
                raise ClockDoubtError
            return ahead
        beyond: Mask = ts_ahead_s > max(found.ahead_s, 0.0) + max_ahead_s
        if not found.is_off or not (found.is_certain or found.ahead_s > 0):
            return beyond
        disputed: Mask = (ts_ahead_s > min(found.ahead_s, 0.0) + max_ahead_s) & ~beyond
        if disputed.any():
            raise ClockDoubtError
        return beyond

    def _may_be_ours(self, source: tuple[str, int], stamped_ahead_s: float, now_s: float) -> bool:
        """Return whether our clock may be at fault, going by what Kafka has of the records alone."""
        if stamped_ahead_s <= TOLERANCE_S or now_s - self._near_s < _FORGET_S:
            return False
        since_s, last_s = self._doubts.get(source, (now_s, now_s))
        since_s = now_s if now_s - last_s > _FORGET_S else since_s
        self._doubts[source] = (since_s, now_s)
        recent = [last for _, last in self._doubts.values() if now_s - last < _DOUBT_S]
        return now_s - since_s < (_DOUBT_SEVERAL_S if len(recent) > 1 else _DOUBT_S)
