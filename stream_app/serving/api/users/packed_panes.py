"""What users made in packed panes: read from the stored segments once, and remembered for those who are asked about."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from stream_app.core.queries import ScopeName, pane_series
from stream_app.core.queries.pane_series import PackedPane, PaneCounts, PaneKey
from stream_app.serving.api.time_budget import TimeBudget

MOST_REMEMBERED = 2000
"""Users; where there would be more, all are forgotten."""

Counts = dict[ScopeName, dict[int, pane_series.Counts]]
"""Of one user, by scope and pane."""


class _Remembered:
    """What is known of one user."""

    def __init__(self) -> None:
        self.read: dict[PaneKey, int] = {}
        """The panes that have been read: where each is stored, and its number."""
        self.counts: Counts = {}
        self.complete: frozenset[PaneKey] | None = None
        """The panes that had all been read when somebody last asked."""

    def forget(self, panes: Iterable[PaneKey]) -> None:
        """Some of the panes are gone, or are stored anew."""
        numbers = {self.read.pop(key) for key in panes}
        for by_pane in self.counts.values() if numbers else ():
            for number in numbers:
                by_pane.pop(number, None)


class PackedPanes:
    """Reads packed panes; in between others have their turn."""

    def __init__(self, budget: TimeBudget) -> None:
        self._budget = budget
        self._users: dict[str, _Remembered] = {}
        self._keys: dict[frozenset[PaneKey], frozenset[PaneKey]] = {}
        """The same panes are the same object: most of the time one comparison shows that nothing is missing."""
        self._reading = asyncio.Lock()

    def __len__(self) -> int:
        """Users that are remembered."""
        return len(self._users)

    async def of(self, panes: Sequence[PackedPane], users: Iterable[str]) -> dict[str, Counts]:
        """What `users`, who are all of one ledger, made in its packed panes; who made nothing may be left out."""
        if not panes:
            return {}
        async with self._reading:
            with self._budget.running():
                there = frozenset(pane.key for pane in panes)
                there = self._keys.setdefault(there, there)
                missing = self._missing(there, users)
            for keys, those in missing.items():
                for pane in panes:
                    if pane.key in keys:
                        await self._read(pane, those)
                for user in those:
                    self._users[user].complete = there
            return {user: self._users[user].counts for user in users}

    def _missing(self, keys: frozenset[PaneKey], users: Iterable[str]) -> dict[frozenset[PaneKey], set[str]]:
        """By what is still to be read, of whom; most of the time nothing of anybody."""
        if len(self._users) > MOST_REMEMBERED or len(self._keys) > MOST_REMEMBERED:
            self._users.clear()
            self._keys = {keys: keys}
        missing: dict[frozenset[PaneKey], set[str]] = defaultdict(set)
        for user in users:
            known = self._users.setdefault(user, _Remembered())
            if known.complete is keys:
                continue
            known.forget(known.read.keys() - keys)
            missing[keys.difference(known.read)].add(user)
        return missing

    async def _read(self, pane: PackedPane, users: set[str]) -> None:
        """Read one pane. The caller may be cancelled in the middle of it, so it is taken up at its end."""
        found: list[PaneCounts] = []
        for part in pane.parts:
            with self._budget.running():
                found += pane_series.read(part, users)
            await asyncio.sleep(0)
        for (user, scope), by_pane in pane_series.summed(found).items():
            self._users[user].counts.setdefault(scope, {}).update(by_pane)
        for user in users:
            self._users[user].read[pane.key] = pane.key.pane
