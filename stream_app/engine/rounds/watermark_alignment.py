"""Watermark alignment: all sources of all partitions come to the end of a step of event time, then flags are decided.

The problem: flags depend on when the rules look. If posts of noon are counted while shares of ten are, or one partition
an hour ahead of another, θ and values are of no time at all; and a tracker that reads a day in ten seconds looks twenty
times at it, and not every five minutes. The same events would give other flags with each run.

How: event time is divided into steps of some slots of the short window. Within a step, each source is counted up to
its first event at or after the end; that event and all behind it are held. Once all sources of the group are there,
every partition says what has changed, every home makes its cuts, the rules look, and the next step begins. It is what
Flink calls watermark alignment, with an evaluation at each end. The owner of partition 0 says where the next one ends.

    posts 0    ──────────────────▶ 12:05 │ held: 12:05:01 …
    shares 0   ─────────▶                │ read up: nothing more on Kafka, asked after 12:05:01 was seen
    posts 1    ──────▶ 12:03             │ more to count: all others wait

A source that is read up holds up nobody (see source_reach). A partition that does not come, as its owner has died, is
waited for so long that another can take it over.

While event time goes by slowly, as it does live, the rules look in between too, in every round. Such flags come earlier
than those of the end of the step, and are the same but for what changes back within it.

Nothing of this is stored. A new owner has ledgers that stand in the step in which the last owner was, for nothing of
the next was counted before that one was evaluated: it comes to its end again, which changes nothing.
"""

import logging
from collections.abc import Mapping
from time import monotonic

from stream_app.core.changelog.status import Status
from stream_app.core.flags.event_time_steps import next_look
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import FOREVER, EngineContext
from stream_app.engine.rounds.source_reach import SourceReach

logger = logging.getLogger(__name__)

LIVE_S = 3.0
"""Steps that take longer than this are looked into before they end."""
LEADER = 0
"""The partition whose owner decides where steps end."""
_PATIENCE_SESSIONS = 5
"""Sessions of the group in which a partition has to be taken over, until nobody waits for it any more."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.2


class WatermarkAlignment:
    """Decides when a step ends. Until `begin` there are no steps: all is counted and evaluated as it comes."""

    def __init__(self, context: EngineContext, reach: SourceReach, statuses: Mapping[int, Status]) -> None:
        """`statuses`: of all partitions, as far as they are known."""
        settings = context.settings
        self._context = context
        self._limit = context.limit
        self._reach = reach
        self._statuses = statuses
        self._steps = settings.steps
        self._patience_s = _PATIENCE_SESSIONS * settings.session_timeout_s
        self._has_steps = False
        self._number: int | None = None
        self._began_s = self._took_s = 0.0
        self._reached_ms: dict[int, int] = {}
        """By partition, of the whole group: what all its sources have come to."""
        self._waiting: tuple[tuple[int | None, str] | None, float] = (None, 0.0)
        """For what, and since when."""
        self._left_behind: set[int] = set()
        """Partitions that nobody waits for, until they have come after."""
        self.next_step_ms = NO_TIME
        """Where the next step ends, epoch ms, once that is decided here; NO_TIME where partition 0 is elsewhere."""
        self.cuts_ms = NO_TIME
        """Event time that the cuts of the homes here are of, epoch ms."""

    def begin(self) -> None:
        """Have steps from now on: the next begins where the ledgers stand. Until that is known everything is held."""
        self._has_steps, self._number = True, None
        self._limit.end_ms = self.cuts_ms = self.next_step_ms = NO_TIME
        self._began_s, self._took_s = monotonic(), 0.0

    @property
    def last_ms(self) -> int:
        """The last event time within the step, epoch ms."""
        return self._limit.end_ms - 1

    @property
    def state(self) -> tuple[int, ...]:
        """What others have to know."""
        return self.cuts_ms, self.step_ms, self.next_step_ms

    @property
    def step_ms(self) -> int:
        """Where the step ends, epoch ms; NO_TIME while there are none."""
        return NO_TIME if self._number is None else self._limit.end_ms

    @property
    def is_overdue(self) -> bool:
        """Whether events after the end of the step are known: it ends once all sources have come there."""
        return self._has_steps and self._limit.end_ms <= self._reach.known.newest_ms

    @property
    def is_live(self) -> bool:
        """Whether the rules may look before the step has ended, because it takes long."""
        if not self._has_steps:
            return True
        return not self.is_overdue and max(self._took_s, monotonic() - self._began_s) > LIVE_S

    @property
    def pause_s(self) -> float:
        """Until the next look while the step is overdue: longer, the longer something is awaited."""
        waited_s = monotonic() - self._waiting[1] if self._waiting[0] else 0.0
        return min(max(waited_s / 4, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)

    def look(self) -> None:
        """See how far all sources have come. Begins the first step once that is known."""
        if not self._has_steps:
            return
        self._reach.look()
        places = range(self._context.settings.partitions)
        self._reached_ms = {place: _reached_ms(self._statuses.get(place)) for place in places}
        for place, held in self._context.owned.items():
            self._reached_ms[place] = self._reach.reached_ms(place, held)
        if self._number is None:
            self._begin_first()
        else:
            self._enter(self._group_step(self._number))  # somebody may have passed over the end of this one

    def can_end(self) -> bool:
        """Return whether all sources of the group have come to the end of the step."""
        if self._number is None or not self.is_overdue:
            return False
        return self._are_there("events", {place for place, ms in self._reached_ms.items() if ms <= self.last_ms})

    def is_heard(self) -> bool:
        """Return whether the homes here have heard what all partitions have to say of the step."""
        homes = self._context.homes
        late = {
            place
            for place, known in self._others().items()
            if max(known.horizon, known.cuts_ms or 0) < self.last_ms or not homes.have_heard(known)
        }
        return self._are_there("additions", late)

    def is_cut(self) -> bool:
        """Return whether all cuts at the end of the step are known here."""
        others = self._others().items()
        return self._are_there("cuts", {place for place, known in others if (known.cuts_ms or 0) < self.last_ms})

    def decide_next(self) -> None:
        """Decide where the next step ends, if partition 0 is here. All sources have come to the end of this one."""
        owned = self._context.owned
        if LEADER not in owned:
            return
        others = self._others().values()
        if ahead := [known.step_ms for known in others if known.step_ms > self._limit.end_ms]:
            self.next_step_ms = min(ahead)  # as a former owner has decided
            return
        next_ms = [self._reach.reached_ms(place, held) for place, held in owned.items()]
        first = self._steps.step(min([*next_ms, *(known.next_ms for known in others)]))
        sources = [held.store.ledger.sources for held in owned.values()] + [known.sources for known in others]
        counted_ms = max((source.watermark for of in sources for source in of.values()), default=NO_TIME)
        now = self._steps.step(self.last_ms)
        self.next_step_ms = self._steps.end_ms(next_look(min(self._steps.step(counted_ms), now), now, first))

    def go_on(self) -> None:
        """Begin the next step, which the owner of partition 0 has decided; none that goes beyond all known events."""
        self._reach.look()
        now_s, leader = monotonic(), self._others().get(LEADER)
        self._took_s, self._began_s = now_s - self._began_s, now_s
        self._left_behind = {place for place in self._left_behind if self._reached_ms.get(place, 0) <= self.last_ms}
        ends_ms = (leader.step_ms, leader.next_step_ms) if leader is not None else (self.next_step_ms,)
        number = self._steps.step(self.last_ms)
        latest_ms = self._steps.end_ms(self._steps.step(self._reach.known.newest_ms))
        later_ms = [end_ms for end_ms in ends_ms if self._limit.end_ms < end_ms <= latest_ms]
        self._enter(self._steps.step(min(later_ms) - 1) if later_ms else number + 1)

    @property
    def has_others(self) -> bool:
        """Whether any partition is elsewhere."""
        return len(self._context.owned) < self._context.settings.partitions

    def _begin_first(self) -> None:
        unknown = {place for place, ms in self._reached_ms.items() if ms == NO_TIME}
        starts_ms = [ms for ms in (self._reach.first_ms(), *self._reached_ms.values()) if ms not in {NO_TIME, FOREVER}]
        if starts_ms and self._are_there("first events", unknown):
            self._enter(self._group_step(self._steps.step(min(starts_ms))))
            self.cuts_ms = self._steps.end_ms(self._steps.step(self.last_ms) - 1) - 1  # nothing before is missing

    def _group_step(self, number: int) -> int:
        """Return the step that others are in, if it began before this one and goes beyond it, as quiet ones do."""
        last_ms = self._steps.end_ms(number) - 1
        ends_ms = (known.step_ms for known in self._others().values() if (known.cuts_ms or 0) < last_ms < known.step_ms)
        return self._steps.step(min(ends_ms, default=last_ms + 1) - 1)

    def _enter(self, number: int) -> None:
        self._number = number
        self._limit.end_ms = self._steps.end_ms(number)

    def _others(self) -> dict[int, Status]:
        """Return the statuses of other workers' partitions; releases before 0.4 have no steps."""
        owned = self._context.owned
        return {
            place: known for place, known in self._statuses.items() if place not in owned and known.cuts_ms is not None
        }

    def _are_there(self, what: str, missing: set[int]) -> bool:
        """Return whether nothing is missing, or it was waited for too long: then nobody waits for it any more."""
        missing -= self._left_behind
        waiting, now_s = (self._number, what), monotonic()
        if not missing:
            if self._waiting[0] == waiting:  # else something that comes later is awaited, for as long as before
                self._waiting = (None, 0.0)
            return True
        if self._waiting[0] != waiting:
            self._waiting = (waiting, now_s)
        if now_s - self._waiting[1] <= self._patience_s:
            return False
        logger.warning(
            "event time goes on without partitions %s, whose %s did not come for %.0f s: flags may differ from those "
            "of another run. Is their worker alive, and can Kafka be read?",
            *(sorted(missing), what, self._patience_s),
            extra={"kind": tuple(sorted(missing))},
        )
        self._left_behind |= missing
        return True


def _reached_ms(status: Status | None) -> int:
    """Return what a partition elsewhere has come to; a release before 0.4 does not say, and is not waited for."""
    if status is None:
        return NO_TIME
    return FOREVER if status.reached_ms is None else status.reached_ms
