"""Watermark alignment: all sources of all partitions come to the end of a step of event time, then flags are decided.

The problem: flags depend on when the rules look. If posts of noon are counted while shares of ten are, or one partition
an hour ahead of another, θ and values are of no time at all; and a tracker that reads a day in ten seconds looks twenty
times at it, and not every five minutes. The same events would give other flags with each run.

How: event time is divided into steps, the slots of the short window. Within a step, each source is counted up to its
first event at or after the end; that event and all behind it are held. Once all sources of the group are there, every
partition says what has changed, every home makes its cuts, the rules look, and the next step begins. It is what Flink
calls watermark alignment, with an evaluation at each end.

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
from stream_app.core.state.watermark import NO_TIME
from stream_app.core.state.window import Window
from stream_app.engine.context import FOREVER, EngineContext
from stream_app.engine.rounds.source_reach import SourceReach

logger = logging.getLogger(__name__)

LIVE_S = 3.0
"""Steps that take longer than this are looked into before they end."""
_PATIENCE_SESSIONS = 5
"""Sessions of the group in which a partition has to be taken over, until nobody waits for it any more."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.2


class WatermarkAlignment:
    """Decides when a step ends. Until `begin` there are no steps: all is counted and evaluated as it comes."""

    def __init__(self, context: EngineContext, reach: SourceReach, statuses: Mapping[int, Status]) -> None:
        """`statuses`: of all partitions, as far as they are known."""
        settings = context.settings
        self._context = context
        self._limit = context.limit
        self._reach = reach
        self._statuses = statuses
        self._window = Window(settings.pane_ms, settings.panes, settings.short_panes)
        self._patience_s = _PATIENCE_SESSIONS * settings.session_timeout_s
        self._has_steps = False
        self._slot: int | None = None
        self._began_s = self._took_s = 0.0
        self._reached_ms: dict[int, int] = {}
        """By partition, of the whole group: what all its sources have come to."""
        self._waiting: tuple[tuple[int | None, str] | None, float] = (None, 0.0)
        """For what, and since when."""
        self._left_behind: set[int] = set()
        """Partitions that nobody waits for, until they have come after."""
        self.cuts_ms = NO_TIME
        """Event time that the cuts of the homes here are of, epoch ms."""

    def begin(self) -> None:
        """Have steps from now on: the next begins where the ledgers stand. Until that is known everything is held."""
        self._has_steps, self._slot = True, None
        self._limit.end_ms = self.cuts_ms = NO_TIME
        self._began_s, self._took_s = monotonic(), 0.0

    @property
    def last_ms(self) -> int:
        """The last event time within the step, epoch ms."""
        return self._limit.end_ms - 1

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
        if self._slot is None:
            self._begin_first()

    def can_end(self) -> bool:
        """Return whether all sources of the group have come to the end of the step."""
        if self._slot is None or not self.is_overdue:
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

    def go_on(self) -> None:
        """Begin the next step."""
        now_s, slot = monotonic(), self._window.slot(self.last_ms) + 1
        self._took_s, self._began_s = now_s - self._began_s, now_s
        self._left_behind = {place for place in self._left_behind if self._reached_ms.get(place, 0) <= self.last_ms}
        first_ms = min(self._reached_ms.values())
        if self._window.slot(first_ms) > slot and self._is_empty():
            self._enter_first(self._window.slot(first_ms))
        else:
            self._enter(slot)

    @property
    def has_others(self) -> bool:
        """Whether any partition is elsewhere."""
        return len(self._context.owned) < self._context.settings.partitions

    def _begin_first(self) -> None:
        unknown = {place for place, ms in self._reached_ms.items() if ms == NO_TIME}
        starts_ms = [ms for ms in (self._reach.first_ms(), *self._reached_ms.values()) if ms not in {NO_TIME, FOREVER}]
        if starts_ms and self._are_there("first events", unknown):
            self._enter_first(self._window.slot(min(starts_ms)))

    def _is_empty(self) -> bool:
        """Return whether nobody has anything in the window."""
        has_panes = any(held.store.ledger.panes for held in self._context.owned.values())
        return not has_panes and not any(known.users for known in self._others().values())

    def _enter_first(self, slot: int) -> None:
        """Begin a step without having been through those before: nothing is missing of them."""
        self._enter(slot)
        self.cuts_ms = self._window.slot_start_ms(slot) - 1

    def _enter(self, slot: int) -> None:
        self._slot = slot
        self._limit.end_ms = self._window.slot_start_ms(slot + 1)

    def _others(self) -> dict[int, Status]:
        """Return the statuses of other workers' partitions; releases before 0.4 have no steps."""
        owned = self._context.owned
        return {
            place: known for place, known in self._statuses.items() if place not in owned and known.cuts_ms is not None
        }

    def _are_there(self, what: str, missing: set[int]) -> bool:
        """Return whether nothing is missing, or it was waited for too long: then nobody waits for it any more."""
        missing -= self._left_behind
        if not missing:
            self._waiting = (None, 0.0)
            return True
        waiting, now_s = (self._slot, what), monotonic()
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
