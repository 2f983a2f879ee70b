"""What the HTTP API asks of the engine, taken from its parts."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.status import Status
from stream_app.core.cuts.global_cuts import GlobalCuts
from stream_app.core.cuts.history import CutHistory
from stream_app.core.cuts.publication import Frame, published
from stream_app.core.messages import Cut, Flag, Role
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.engine import Engine
from stream_app.engine.rounds.standing_records import flag_of

_ENCODER = msgspec.json.Encoder()


class EngineState:
    """The state of one engine."""

    def __init__(self, engine: Engine, redis_up: Callable[[], bool | None]) -> None:
        self._engine = engine
        self.redis_up = redis_up
        self._framed: tuple[tuple[int, int], Frame] | None = None

    @property
    def global_cuts(self) -> GlobalCuts:
        """All scopes."""
        return self._engine.context.global_cuts

    @property
    def past(self) -> CutHistory:
        """What the cuts were."""
        return self._engine.exchange.past

    @property
    def statuses(self) -> Mapping[int, Status]:
        """What every partition has told."""
        return self._engine.exchange.statuses

    @property
    def ledgers(self) -> Mapping[int, Ledger]:
        """By partition, those this worker has."""
        return {partition: held.store.ledger for partition, held in self._engine.owned.items()}

    @property
    def window_start_ms(self) -> int:
        """Where the window begins, event time; 0 before the first event."""
        return self._frame.window_start if self.newest_ms > NO_TIME else 0

    @property
    def newest_ms(self) -> int:
        """Event time reached."""
        return self._engine.exchange.newest_ms

    @property
    def _frame(self) -> Frame:
        """Of the cuts as they are: made once for as long as they stay the same."""
        state = (self.global_cuts.version, self.newest_ms)
        if self._framed is None or self._framed[0] != state:
            self._framed = (state, self._engine.publisher.frame(self.newest_ms))
        return self._framed[1]

    def cuts(self, numbers: Ints) -> Iterator[Cut]:
        """The cuts of some scopes; none as long as nobody knows where the window ends."""
        if self.newest_ms == NO_TIME:
            return iter(())
        context = self._engine.context
        return published(context.global_cuts, numbers, context.rules, context.settings.population_sizes, self._frame)

    def standing(self, partition: int, user: str, scope: ScopeName, role: Role) -> Flag | None:
        """The last flag of a standing that lasts; None where there is none, or it cannot be read."""
        key = _ENCODER.encode((user, scope.topic, scope.population, role))
        kept = self._engine.standings_of(partition, [key]).get(key)
        try:
            return flag_of(kept) if kept is not None else None
        except FormatError:
            return None

    def erasures(self) -> int:
        """How many people are known to be erased."""
        return len(self._engine.context.erasures)

    def erased(self, users: Iterable[str]) -> set[str]:
        """Those of some users who were erased."""
        return self._engine.context.erasures.among(users)

    def live(self) -> bool:
        """Whether counting makes progress."""
        return self._engine.health.live()[0]

    def ready(self) -> bool:
        """Whether partitions are assigned and their ledgers rebuilt."""
        return self._engine.health.ready()[0]
