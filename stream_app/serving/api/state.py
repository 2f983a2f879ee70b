"""What the API needs to know of the engine, whatever makes it up."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from stream_app.core.arrays import Ints
from stream_app.core.changelog.status import Status
from stream_app.core.cuts.global_cuts import GlobalCuts
from stream_app.core.cuts.history import CutHistory
from stream_app.core.messages import Cut, Flag, Role
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName


class ApiState(Protocol):
    """The state of a worker. Nothing in it may be kept across an await: it changes."""

    @property
    def global_cuts(self) -> GlobalCuts:
        """All scopes."""
        ...

    @property
    def past(self) -> CutHistory:
        """What the cuts were."""
        ...

    @property
    def statuses(self) -> Mapping[int, Status]:
        """What every partition has told, whoever has it."""
        ...

    @property
    def ledgers(self) -> Mapping[int, Ledger]:
        """By partition, those this worker has."""
        ...

    @property
    def window_start_ms(self) -> int:
        """Where the window begins, event time; 0 before the first event."""
        ...

    @property
    def newest_ms(self) -> int:
        """Event time reached, epoch ms; negative before the first event."""
        ...

    def cuts(self, numbers: Ints) -> Iterator[Cut]:
        """The cuts of some scopes of the whole, by number."""
        ...

    def standing(self, partition: int, user: str, scope: ScopeName, role: Role) -> Flag | None:
        """The last flag of a standing that lasts."""
        ...

    def erasures(self) -> int:
        """How many people are known to be erased."""
        ...

    def erased(self, users: Iterable[str]) -> set[str]:
        """Those of some users who were erased."""
        ...

    def live(self) -> bool:
        """Whether counting makes progress."""
        ...

    def ready(self) -> bool:
        """Whether partitions are assigned and their ledgers rebuilt."""
        ...

    def redis_up(self) -> bool | None:
        """Whether Redis answers; None where there is none."""
        ...
