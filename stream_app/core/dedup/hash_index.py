"""A vectorised hash index: maps 64-bit keys to row numbers 0, 1, 2 … in order of arrival.

The problem: a dict of a million Python ints takes 100 bytes an entry and a microsecond a look-up. This index takes 8
bytes for the key and 7 to 14 for its slot, and looks up a whole batch in a few numpy calls.

How: open addressing in a power-of-two table of row numbers. The home slot of a key is the top bits of its salted mix. A
batch is looked up in rounds. In each round all pending keys probe their slot at once. Keys that hit, or find the slot
empty, are done; the others move on by steps that grow by one (triangular probing). This keeps probe sequences short,
which matters because a round costs the same numpy calls however few keys are left. A few keys, and the last few of a
batch, are added one by one.

    keys   [a, b, a, c]      claim   each new key writes its provisional row into its free slot; the first one wins
    round 1: slots 3 7 3 3   settle  rows are renumbered in order of appearance: a → n, b → n+1, c → n+2
    round 2:         4       (c moved on by 1)

The invariant: all slots that are probed before the slot of a key are full. Rows are therefore never removed one by one;
to drop keys, build a new index from the keys that are kept.

Some keys are chosen by who sends events. If the mix were the same everywhere, keys could be made that all begin at one
slot, each of which takes as many rounds as there are such keys. So the mix has a salt, which differs between processes
and is never stored (only the keys are). Should some keys need more than `MOST_ROUNDS` all the same, the table is made
again with another salt and twice the slots. Rows do not depend on any of this.
"""

from itertools import count
from typing import cast

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints

MOST_ROUNDS = 128
"""Rounds after which a table is made again. Random keys need 10 to 40."""

_SALT = hash("the salt of hash indexes")
"""Python's own hash of text: its key is random in every process and never shown."""
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads consecutive numbers over all 64 bits
_64_BITS = (1 << 64) - 1
_FOLD = np.uint64(32)
_EMPTY = np.int32(-1)
_SMALLEST = 64
_FEW = 8
"""Keys that are added one by one, at once or once the others have their slots."""
_FULL, _FULLEST = 0.6, 0.8
"""Load factors above which the table grows: before a batch, and after it if all its keys were new."""
_GROWTH = 8
"""A full key column grows by an eighth."""


class HashIndex:
    """Row numbers by 64-bit key. Grows on demand; rows cannot be removed (build a new index from the keys kept)."""

    def __init__(self, keys: Ints | None = None) -> None:
        """Start with `keys` (distinct) as rows 0 … len(keys) − 1."""
        self._keys = np.empty(_SMALLEST, np.int64) if keys is None else keys
        self._size = 0 if keys is None else len(keys)
        self._first, self._second = _factors(0)
        self._most_rounds = MOST_ROUNDS
        self.probes = 0
        """Slots looked at so far: what collisions cost."""
        self.rebuilds = 0
        """How often the table was made again because keys collided."""
        self._make_slots(self._size)

    def __len__(self) -> int:
        return self._size

    @property
    def keys(self) -> Ints:
        """Keys by row: a view of shape (len(self),)."""
        return self._keys[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._keys.nbytes + self._slots.nbytes

    def find(self, keys: Ints) -> Ints:
        """Return the row of each key, −1 if it is not in the index."""
        rows = np.full(len(keys), -1, np.int64)
        if not self._size:
            return rows
        pending = np.arange(len(keys))
        slots = self._home(keys)
        for step in count(1):
            self.probes += len(pending)
            held = self._slots[slots]
            taken = held != _EMPTY
            hit = (self._keys[held] == keys[pending]) & taken
            rows[pending[hit]] = held[hit]
            go_on = taken & ~hit
            pending, slots = pending[go_on], (slots[go_on] + step) & self._mask
            if not len(pending):
                break
            if step >= self._most_rounds:  # only keys that are not there: those that are were placed in fewer rounds
                self._rebuild()
                rows[pending] = self.find(keys[pending])
                break
        return rows

    def add(self, keys: Ints) -> Ints:
        """Return the row of each key. New keys get the next rows in order of appearance. Keys may repeat."""
        self._make_room(len(keys))
        if len(keys) <= _FEW:
            return self._add_few(keys)
        # Every new key claims a slot with the row it would have if all of `keys` were new.
        start, self._keys[self._size : self._size + len(keys)] = self._size, keys
        while (claimed := self._claim(keys, start)) is None:
            self._rebuild()  # drops the claims
        self._settle(*claimed, start)
        return claimed[0]

    def _add_few(self, keys: Ints) -> Ints:
        """Add keys one by one: for few of them that is faster than the calls for many."""
        rows = []
        for key, home in zip(keys.tolist(), self._home(keys).tolist(), strict=True):
            row, slot, step = self._probe(key, home, 1)
            if step > self._most_rounds:
                self._rebuild()
                return self.add(keys)  # finds those that were added before
            if row < 0:
                row = self._slots[slot] = self._size
                self._keys[row] = key
                self._size += 1
            rows.append(row)
        return np.array(rows, np.int64)

    def _probe(self, key: int, slot: int, step: int) -> tuple[int, int, int]:
        """Follow one key from a slot on, whose next move is by `step`, to its own slot or the first empty one.

        Returns the row there, −1 for none, the slot and the next move: beyond the most rounds it was not found.
        """
        began, row, mask = step, self._slots.item(slot), self._mask
        while row >= 0 and self._keys.item(row) != key and step <= self._most_rounds:
            slot = (slot + step) & mask
            row, step = self._slots.item(slot), step + 1
        self.probes += step - began + 1
        return row, slot, step

    def _claim(self, keys: Ints, start: int) -> tuple[Ints, Ints] | None:
        """Return the provisional row and the slot of each key; None if that takes too many rounds."""
        rows = np.empty(len(keys), np.int64)
        pending, slots = np.arange(len(keys)), self._home(keys)
        claimed = np.empty(len(keys), np.int64)
        for step in count(1):
            self.probes += len(pending)
            free = np.flatnonzero(self._slots[slots] == _EMPTY)[::-1]  # of several claims on one slot, the first wins
            self._slots[slots[free]] = pending[free] + start
            held = self._slots[slots]
            hit = self._keys[held] == keys[pending]
            rows[pending[hit]], claimed[pending[hit]] = held[hit], slots[hit]
            pending, slots = pending[~hit], (slots[~hit] + step) & self._mask
            if not len(pending):
                break
            if step >= self._most_rounds:
                return None
            if len(pending) <= _FEW:
                is_done = self._claim_few(keys, start, step + 1, pending, slots, (rows, claimed))
                return (rows, claimed) if is_done else None
        return rows, claimed

    def _claim_few(
        self, keys: Ints, start: int, step: int, pending: Ints, slots: Ints, found: tuple[Ints, Ints]
    ) -> bool:
        """Claim for the last keys of a batch, one by one in order. Returns False if that takes too many rounds."""
        rows, claimed = found
        for place, at in zip(pending.tolist(), slots.tolist(), strict=True):
            row, slot, moved = self._probe(keys.item(place), at, step)
            if moved > self._most_rounds:
                return False
            if row < 0:
                row = self._slots[slot] = place + start
            rows[place], claimed[place] = row, slot
        return True

    def _settle(self, rows: Ints, slots: Ints, start: int) -> None:
        """Renumber the rows claimed from `start` on, so that they are consecutive."""
        new = np.flatnonzero(rows == np.arange(start, start + len(rows)))
        numbers = np.arange(start, start + len(new))
        self._slots[slots[new]] = numbers
        self._keys[start : start + len(new)] = self._keys[start + new]
        final = np.empty(len(rows), np.int64)
        final[new] = numbers
        repeated = rows >= start
        rows[repeated] = final[rows[repeated] - start]
        self._size = start + len(new)

    def _make_room(self, more: int) -> None:
        if self._size + more > len(self._keys):
            room = max(self._size + more, self._size + self._size // _GROWTH)
            self._keys = np.concatenate([self._keys[: self._size], np.empty(room - self._size, np.int64)])
        if self._size > _FULL * len(self._slots) or self._size + more > _FULLEST * len(self._slots):
            self._make_slots(self._size + more)

    @property
    def _mask(self) -> int:
        return len(self._slots) - 1

    def _home(self, keys: Ints) -> Ints:
        shift = np.uint64(65 - len(self._slots).bit_length())
        mixed = keys.view(np.uint64) * self._first
        mixed ^= mixed >> _FOLD
        mixed *= self._second
        mixed >>= shift
        return cast(Ints, mixed.view(np.int64))

    def _rebuild(self) -> None:
        """Make the table again with another salt and twice the slots."""
        self.rebuilds += 1
        self._most_rounds *= 2  # so that rebuilding ends, whatever the keys are
        self._first, self._second = _factors(self.rebuilds)
        self._make_slots(int(2 * len(self._slots) * _FULL))

    def _make_slots(self, size: int) -> None:
        self._slots = np.full(max(_SMALLEST, 1 << int(size / _FULL).bit_length()), _EMPTY)
        if not self._place(np.arange(self._size, dtype=np.int32)):
            self._rebuild()

    def _place(self, rows: NDArray[np.int32]) -> bool:
        """Put rows into the slots. Of several rows that want one free slot, the last gets it and the others move on.

        Returns False if that takes too many rounds.
        """
        slots = self._home(self._keys[rows])
        for step in count(1):
            self.probes += len(rows)
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = rows[free]
            go_on = self._slots[slots] != rows
            rows, slots = rows[go_on], (slots[go_on] + step) & self._mask
            if not len(rows):
                break
            if step >= self._most_rounds:
                return False
        return True


def _factors(number: int) -> tuple[np.uint64, np.uint64]:
    """Return the odd factors of a salted mix: with odd factors, distinct keys have distinct mixes."""
    first, second = (_scrambled(_SALT + 2 * number + place) | 1 for place in range(2))
    return np.uint64(first), np.uint64(second)


def _scrambled(number: int) -> int:
    """Spread a number over 64 bits (splitmix64)."""
    number = number * _GOLDEN & _64_BITS
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _64_BITS
    return number ^ number >> 31
