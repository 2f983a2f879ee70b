"""The simulated group coordinator: members, generations, who is assigned what, and the committed offsets.

As in Kafka's eager protocol: when a member joins, leaves or sends no heartbeat for the session timeout, every member
gives up all partitions and joins again; one that does not join in time is removed. Then there is a new generation with
a new assignment.
A visitor is a member that has subscribed to the sources but not to the logs of the tables, as a Faust app does that is
stopped while it starts. Faust's assignor deals topics with different subscribers separately.
A commit counts only if it comes from a member of the present generation while the group is stable (or preparing).
"""

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import count

from stream_app.kafka.records import Partition
from tests.simulation.loop import Agenda

_REBALANCE_S = 10.0
"""How long the group waits for its members to join again."""


class State(Enum):
    """Where the group is in a rebalance."""

    EMPTY = "empty"
    PREPARING = "preparing"
    COMPLETING = "completing"
    STABLE = "stable"


class Answer(Enum):
    """What the coordinator answers."""

    OK = "ok"
    REBALANCING = "rebalance in progress"
    ILLEGAL_GENERATION = "illegal generation"
    UNKNOWN_MEMBER = "unknown member"


class Member:
    """A member as the coordinator knows it."""

    def __init__(self, number: int, now: float, *, is_visitor: bool = False) -> None:
        self.number = number
        self.is_visitor = is_visitor
        self.heard = now
        self.joining: asyncio.Future[tuple[int, int]] | None = None

    @property
    def has_joined(self) -> bool:
        """Whether it waits for the next generation."""
        return self.is_visitor or self.joining is not None


class Group:
    """The group of all workers."""

    def __init__(self, agenda: Agenda, partitions: int, session_s: float) -> None:
        self.generation = 0
        self.state = State.EMPTY
        self.committed: dict[Partition, int] = {}
        self._sources: dict[int, list[int]] = {}
        self._logs: dict[int, list[int]] = {}
        """Partitions by member, as last decided."""
        self._agenda = agenda
        self._partitions = partitions
        self._session_s = session_s
        self._members: dict[int, Member] = {}
        self._number = count(1)
        self._round = 0
        agenda.after(0.5, self._expire)

    def join(self, number: int | None, answered: "asyncio.Future[tuple[int, int]]") -> None:
        """A member wants to (re)join; `answered` gets its number and the new generation when all have joined."""
        member = self._members.get(number or 0)
        if member is None:
            member = Member(next(self._number), self._agenda.now)
            self._members[member.number] = member
        member.joining = answered
        if self.state is not State.PREPARING:
            self.rebalance()
        self._complete_if_all_joined()

    def visit(self, seconds: float) -> None:
        """A member comes that has subscribed to the sources only, and soon goes."""
        member = Member(next(self._number), self._agenda.now, is_visitor=True)
        self._members[member.number] = member
        self.rebalance()
        self._agenda.after(seconds, lambda: self.leave(member.number))

    def sync(self, number: int, generation: int) -> tuple[Answer, list[int], list[int]]:
        """The partitions of sources and those of logs that a member has in the new generation."""
        if (answer := self._refused(number, generation)) is not None:
            return answer, [], []
        if self.state is State.PREPARING:
            return Answer.REBALANCING, [], []
        self.state = State.STABLE
        return Answer.OK, self._sources[number], self._logs[number]

    def heartbeat(self, number: int, generation: int) -> Answer:
        """A sign of life."""
        if (answer := self._refused(number, generation)) is not None:
            return answer
        return Answer.REBALANCING if self.state is State.PREPARING else Answer.OK

    def commit(self, number: int, generation: int, offsets: dict[Partition, int]) -> Answer:
        """Commit offsets. Without a member id (0) it is taken only while the group has no members."""
        if number == 0 and generation < 0 and self.state is State.EMPTY:
            self.committed |= offsets
            return Answer.OK
        if (answer := self._refused(number, generation)) is not None:
            return answer
        if self.state is State.COMPLETING:
            return Answer.REBALANCING
        self.committed |= offsets
        return Answer.OK

    def leave(self, number: int) -> None:
        """A member goes."""
        if self._members.pop(number, None):
            self.rebalance()

    def forget(self) -> None:
        """Retention of the group: generations begin anew, committed offsets are gone."""
        if self.state is State.EMPTY:
            self.generation = 0
            self.committed.clear()

    def rebalance(self) -> None:
        """Everybody has to join again."""
        self._round += 1
        self.state = State.PREPARING if self._members else State.EMPTY
        this_round = self._round
        self._agenda.after(_REBALANCE_S, lambda: self._out_of_patience(this_round))
        self._complete_if_all_joined()

    def _refused(self, number: int, generation: int) -> Answer | None:
        member = self._members.get(number)
        if member is None:
            return Answer.UNKNOWN_MEMBER
        if generation != self.generation:
            return Answer.ILLEGAL_GENERATION
        member.heard = self._agenda.now
        return None

    def _expire(self) -> None:
        late = [m for m in self._members.values() if not m.has_joined and m.heard + self._session_s < self._agenda.now]
        for member in late:
            del self._members[member.number]
        if late:
            self.rebalance()
        self._agenda.after(0.5, self._expire)

    def _out_of_patience(self, of_round: int) -> None:
        if self.state is State.PREPARING and self._round == of_round:
            self._members = {n: member for n, member in self._members.items() if member.has_joined}
            self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if self.state is not State.PREPARING:
            return
        if not self._members:
            self.state = State.EMPTY
            return
        if not all(member.has_joined for member in self._members.values()):
            return
        self.generation += 1
        self.state = State.COMPLETING
        members = sorted(self._members)
        subscribed = [number for number in members if not self._members[number].is_visitor]
        self._sources = self._assigned(members, self._sources)
        self._logs = self._sources if subscribed == members else self._assigned(subscribed, self._logs)
        for member in self._members.values():
            answered, member.joining, member.heard = member.joining, None, self._agenda.now
            self._answer(answered, (member.number, self.generation))

    def _answer(self, future: "asyncio.Future[tuple[int, int]] | None", value: tuple[int, int]) -> None:
        def resolve() -> None:
            if future is not None and not future.done():
                future.set_result(value)

        self._agenda.after(self._agenda.rng.uniform(0.001, 0.3), resolve)

    def _assigned(self, members: Sequence[int], before: Mapping[int, list[int]]) -> dict[int, list[int]]:
        """Mostly everybody keeps what it has, as far as that is fair; sometimes all is dealt anew."""
        if not members:
            return {}
        rng = self._agenda.rng
        fair = -(-self._partitions // len(members))
        sticky = rng.random() < 0.6
        kept = {m: before.get(m, [])[:fair] if sticky else [] for m in members}
        taken = {partition for partitions in kept.values() for partition in partitions}
        left = [partition for partition in range(self._partitions) if partition not in taken]
        rng.shuffle(left)
        for partition in left:
            least = min(members, key=lambda m: (len(kept[m]), rng.random()))
            kept[least] = [*kept[least], partition]
        return {member: sorted(partitions) for member, partitions in kept.items()}
