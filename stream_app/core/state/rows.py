"""The row table: one row per (scope, user), with its totals in the window and its standings, as columns."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Codes, Floats, Ints, Mask
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.state.touched import RowsBefore, TouchedRows

T = TypeVar("T", bound=np.generic)
_USER_BITS = 32
_USER_MASK = (1 << _USER_BITS) - 1


class BelowSince(NamedTuple):
    """The rows that fall short of their standing, sorted, and since when. They are few, so this is no full column."""

    rows: Ints
    since_s: Ints


_NOBODY = BelowSince(np.empty(0, np.int64), np.empty(0, np.int64))


class RowTable:
    """Rows of a ledger. In totals, index 0 is posts (mavens) and index 1 impressions (connectors)."""

    def __init__(self) -> None:
        self._index = HashIndex()
        self._posts: Ints = np.zeros(64, np.int32)  # narrower, for memory
        self._impressions = np.zeros(64, np.int64)
        self._squares = np.zeros(64)
        self._recruits: Ints = np.zeros(0, np.int32)  # of no length, like the next, until somebody has any
        self._amplified = np.zeros(0, np.int64)
        self._standings = np.zeros((2, 64), np.uint8)
        self._below = [_NOBODY, _NOBODY]
        self._touched = TouchedRows()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def totals(self) -> Ints:
        """Posts and impressions in the window: a copy, of shape (2, rows)."""
        return self.totals_of(slice(len(self)))

    def totals_of(self, rows: Ints | slice) -> Ints:
        """Return posts and impressions of some rows in the window: of shape (2, n)."""
        return np.stack([self._posts[rows], self._impressions[rows]])

    def values(self, role: int) -> Ints:
        """Return the totals that rank users in a role: a view of shape (rows,)."""
        return self._impressions[: len(self)] if role else self._posts[: len(self)]

    def are_counted(self) -> Mask:
        """Return which rows have totals in the window."""
        mask: Mask = (self.values(0) != 0) | (self.values(1) != 0)
        return mask | (self.recruits != 0) | (self.amplified != 0) if len(self._recruits) else mask

    @property
    def recruits(self) -> Ints:
        """Recruited entries of others in the window: of shape (rows,), not to be written to."""
        return self._given(self._recruits)

    @property
    def amplified(self) -> Ints:
        """Impressions of others' shares in the window: of shape (rows,), not to be written to."""
        return self._given(self._amplified)

    @property
    def squares(self) -> Floats:
        """Σ impressions² over the events in the window: a view of shape (rows,)."""
        return self._squares[: len(self)]

    @property
    def standings(self) -> Codes:
        """Standing codes by role: a view of shape (2, rows)."""
        return self._standings[:, : len(self)]

    @property
    def scopes(self) -> Ints:
        """Scope number of each row."""
        return self._index.keys >> _USER_BITS

    def scopes_of(self, rows: Ints) -> Ints:
        """Return the scope number of some rows."""
        return self._index.keys[rows] >> _USER_BITS

    @property
    def users(self) -> Ints:
        """User number of each row."""
        return self._index.keys & _USER_MASK

    def users_of(self, rows: Ints | slice) -> Ints:
        """Return the user number of some rows."""
        return self._index.keys[rows] & _USER_MASK

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        columns = (
            *(self._posts, self._impressions, self._squares),
            *(self._recruits, self._amplified),
            self._standings,
        )
        return self._index.nbytes + self._touched.nbytes + sum(column.nbytes for column in columns)

    def rows(self, scopes: Ints, users: Ints) -> Ints:
        """Return the row of each (scope, user); create missing rows."""
        rows = self._index.add(scopes << _USER_BITS | users)
        if len(self) > len(self._squares):
            self._grow(max(len(self), len(self._squares) * 9 // 8))
        return rows

    def find(self, scopes: Ints, users: Ints) -> Ints:
        """Return the row of each (scope, user), −1 if there is none."""
        return self._index.find(scopes << _USER_BITS | users)

    def add(
        self,
        rows: Ints,
        posts: Ints,
        impressions: Ints,
        squares: Floats,
        recruits: Ints | None = None,
        amplified: Ints | None = None,
    ) -> None:
        """Add to the totals of `rows` (which may repeat)."""
        self._touched.note(rows, self._state_of)
        np.add.at(self._posts, rows, posts.astype(np.int32))
        np.add.at(self._impressions, rows, impressions)
        np.add.at(self._squares, rows, squares)
        if recruits is None or amplified is None:
            return
        size = len(self._squares)
        self._recruits, self._amplified = _grown(self._recruits, size), _grown(self._amplified, size)
        np.add.at(self._recruits, rows, recruits.astype(np.int32))
        np.add.at(self._amplified, rows, amplified)

    def set_standings(self, role: int | Ints, rows: Ints, standings: Codes | list[int]) -> None:
        """Set the standings of `rows`; `role`: one role for all rows, or one for each."""
        self._touched.note(rows, self._state_of)
        self._standings[role, rows] = standings

    @property
    def is_touched(self) -> bool:
        """Whether anything has changed since it was last taken as touched."""
        return self._touched.is_any

    def take_touched(self) -> RowsBefore | None:
        """Return the rows with new totals or standings since the last call, and what they were; None if it is lost."""
        return self._touched.take()

    def take_counted(self) -> Ints | None:
        """Return the rows that were taken as touched since the last call; None where that may be all of them."""
        return self._touched.take_again()

    def lose_touched(self) -> None:
        """Have all rows count as touched at the next call."""
        self._touched.lose()

    def falling_short(self, role: int) -> Ints:
        """Return the rows that fall short of their standing, sorted."""
        return self._below[role].rows

    def below_since_s(self, role: int, rows: Ints) -> Ints:
        """Return since when (event time, epoch s) each of `rows` has fallen short of its standing; 0 if it has not."""
        below = self._below[role]
        if not len(below.rows):
            return np.zeros(len(rows), np.int64)
        places = np.minimum(np.searchsorted(below.rows, rows), len(below.rows) - 1)
        return np.where(below.rows[places] == rows, below.since_s[places], 0)

    def set_below_since_s(self, role: int, rows: Ints, since_s: Ints) -> None:
        """Replace these times: `rows` (sorted) get `since_s`, all other rows get 0."""
        missed = np.flatnonzero(since_s)
        self._below[role] = BelowSince(rows[missed], since_s[missed])

    def clear(self, rows: Mask) -> None:
        """Reset the marked rows to zero, which makes them dead."""
        self._touched.note(np.flatnonzero(rows), self._state_of)
        self.values(0)[rows] = 0
        self.values(1)[rows] = 0
        self.squares[rows] = 0
        if len(self._recruits):
            self._recruits[: len(rows)][rows] = 0
            self._amplified[: len(rows)][rows] = 0
        self.standings[:, rows] = 0

    def dead(self) -> Mask:
        """Return which rows have no totals in the window and no standing."""
        live: Mask = self.are_counted() | np.any(self.standings, axis=0)
        return ~live

    def done_with(self) -> Mask:
        """Return which rows are dead, and were so when they were last taken as touched."""
        return self.dead() & ~self._touched.marks[: len(self)]

    def renumber(self, kept: Mask, scopes: Ints, users: Ints) -> Ints:
        """Keep only the rows marked in `kept`, in order. Scope s becomes `scopes[s]` and user u becomes `users[u]`.

        Returns the new row numbers, indexed by the old ones.
        """
        keys = scopes[self.scopes[kept]] << _USER_BITS | users[self.users[kept]]
        self._posts, self._impressions = self._posts[: len(kept)][kept], self.values(1)[kept]
        self._squares = self.squares[kept]
        is_given = bool(np.any(self._recruits) or np.any(self._amplified))
        none = slice(0) if not is_given else slice(None)
        self._recruits, self._amplified = self.recruits[kept][none], self.amplified[kept][none]
        self._standings = self.standings[:, kept]
        new_rows = np.cumsum(kept) - 1
        self._below = [BelowSince(new_rows[rows[kept[rows]]], since_s[kept[rows]]) for rows, since_s in self._below]
        self._touched.renumber(kept, new_rows)
        self._index = HashIndex(keys)
        return new_rows

    def _state_of(self, rows: Ints) -> RowsBefore:
        return RowsBefore(rows, self.totals_of(rows), self._standings[:, rows])

    def _given(self, column: NDArray[T]) -> NDArray[T]:
        if len(column) or not len(self):
            return column[: len(self)]
        return np.broadcast_to(column.dtype.type(0), len(self))

    def _grow(self, capacity: int) -> None:
        self._posts, self._impressions = _grown(self._posts, capacity), _grown(self._impressions, capacity)
        self._squares = _grown(self._squares, capacity)
        if len(self._recruits):
            self._recruits, self._amplified = _grown(self._recruits, capacity), _grown(self._amplified, capacity)
        self._standings = _grown(self._standings, capacity)
        self._touched.marks = _grown(self._touched.marks, capacity)


def _grown(column: NDArray[T], capacity: int) -> NDArray[T]:
    if column.shape[-1] == capacity:
        return column
    wider = np.zeros((*column.shape[:-1], capacity), column.dtype)
    wider[..., : column.shape[-1]] = column
    return wider
