"""The scopes of a funnel: their numbers, and their hashes, which do not depend on the numbers."""

from collections.abc import Sequence

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.state.renumbering import distinct
from stream_app.core.state.scopes import ScopeName, ScopeTable

_UNUSED_KEPT = 1000


class FunnelScopes:
    """Scopes, numbered in order of arrival."""

    def __init__(self, keys: FunnelKeys) -> None:
        self._keys = keys
        self._table = ScopeTable()
        self._hashes: Hashes = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def names(self) -> list[ScopeName]:
        """The names by number: a list that grows in place."""
        return self._table.names()

    @property
    def hashes(self) -> Hashes:
        """The hashes by number."""
        fresh = self.names[len(self._hashes) :]
        if fresh:
            self._hashes = np.concatenate([self._hashes, self._keys.scopes(fresh)])
        return self._hashes

    def find(self, name: ScopeName) -> int | None:
        """Return the number of a scope, or None."""
        return self._table.find(name)

    def add(self, names: Sequence[ScopeName]) -> Ints:
        """Return the number of each scope; new ones get the next numbers."""
        return self._table.add(names)

    def add_used(self, names: Sequence[ScopeName], places: Ints) -> Ints:
        """Return the numbers of the scopes at some places among names; only these get numbers."""
        used, inverse = distinct(places)
        return self._table.add([names[place] for place in used.tolist()])[inverse]

    def drop(self, used: Mask) -> Ints | None:
        """Drop the scopes that are not used, once they are many; return the new numbers by the old ones."""
        if np.count_nonzero(~used) <= max(_UNUSED_KEPT, len(used) // 2):
            return None
        self._hashes = self.hashes[used]
        self._table = self._table.renumber(np.flatnonzero(used))
        numbers: Ints = np.cumsum(used) - 1
        return numbers
