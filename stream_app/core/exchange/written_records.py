"""What a worker has written about the scopes at home here, and whether the topic still says so.

A former owner that was frozen may write late, and other programs with access to the topic anything: all workers would
hold their users against a wrong cut until it changes the next time. So an owner reads what it has written. What is
something else for longer than its own writes take to come back is written again.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from stream_app.core.state.scopes import ScopeName

_PATIENCE_S = 10.0


class WrittenRecords:
    """The last record of each scope, as a hash of its value."""

    def __init__(self) -> None:
        self._written: dict[ScopeName, int] = {}
        self._differs_since: dict[ScopeName, float] = {}
        """By scope whose last record that was read is not the last one written: since when, monotonic."""

    def write(self, scope: ScopeName, value: bytes | None) -> None:
        """Note what is written; None where the record is deleted."""
        self._differs_since.pop(scope, None)
        if value is None:
            self._written.pop(scope, None)
        else:
            self._written[scope] = hash(value)

    def read(self, records: Mapping[ScopeName, bytes | None], now_s: float) -> None:
        """Note what the topic has."""
        for scope, value in records.items():
            if self._written.get(scope) == (None if value is None else hash(value)):
                self._differs_since.pop(scope, None)
            else:
                self._differs_since.setdefault(scope, now_s)

    def overwritten(self, now_s: float, is_ready: Callable[[ScopeName], bool], most: int) -> list[ScopeName]:
        """Return scopes whose record is somebody else's, to be written again: at most so many of those that can be."""
        late = (scope for scope, since_s in self._differs_since.items() if now_s - since_s > _PATIENCE_S)
        return list(islice(filter(is_ready, late), most))

    def forget(self, is_gone: Callable[[ScopeName], bool]) -> None:
        """Forget scopes that are at home here no longer."""
        for known in (self._written, self._differs_since):
            for scope in [scope for scope in known if is_gone(scope)]:
                del known[scope]
