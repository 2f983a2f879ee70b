"""Pending episodes: events that are not decided yet, in runs sorted by key, so that they can be taken a part at a time.

A pane may hold millions of events, and to decide them at once would keep everything else waiting for seconds. Keys do
not depend on each other: so all events of one range of keys are decided, then those of the next.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.funnel.episodes.episode_records import SHARED, Records, united

_RUN = 32_768
"""So many records of a pane are sorted and united to a run."""


class PendingEpisodes:
    """Events of panes that are not sealed, and late ones of others."""

    def __init__(self, dtype: np.dtype[Any], pane_ms: int, gap_ms: int) -> None:
        """`dtype`: EPISODE or SHARED."""
        head = [("key", np.int64), ("person", np.uint64), ("scope", np.int32)]
        head += [("post", np.uint64)] * (dtype == SHARED)
        self.dtype: np.dtype[Any] = np.dtype([*head, *dtype.descr])
        self._pane_ms, self._gap_ms = pane_ms, gap_ms
        self._runs: dict[int, list[Records]] = {}
        """By pane."""
        self._fresh: dict[int, list[Records]] = {}
        """By pane: what is in no run yet, in order of arrival."""
        self._taken: list[Records] = []
        """Runs that are being taken."""
        self._replaced: list[Records] = []

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(chunk.nbytes for chunk in chain(*self._lists()))

    @property
    def scopes(self) -> Ints:
        """The scopes in it; they repeat."""
        return np.concatenate([np.empty(0, np.int32), *(chunk["scope"] for chunk in chain(*self._lists()))])

    @property
    def credited(self) -> Ints:
        """The numbers of credited persons in it; they repeat."""
        numbers = np.concatenate([np.empty(0, np.int32), *(chunk["credited"] for chunk in chain(*self._lists()))])
        return numbers[numbers >= 0]

    def add(self, records: Records) -> None:
        """Add events."""
        panes = records["first_ms"] // self._pane_ms
        order = np.argsort(panes, kind="stable")
        numbers, starts = np.unique(panes[order], return_index=True)
        for pane, chunk in zip(numbers.tolist(), np.split(records[order], starts[1:]), strict=False):
            fresh = self._fresh.setdefault(pane, [])
            fresh.append(chunk)
            if sum(map(len, fresh)) >= _RUN:
                self._runs.setdefault(pane, []).append(self._run_of(self._fresh.pop(pane)))

    def replace(self, gone: Records, remaining: Records) -> None:
        """Take events back. What `remaining` has of their keys is from now on all that is known of these.

        It is decided next, also what is of panes that have not ended: a part of it may have been decided early.
        """
        keys = gone["key"]
        self._keep(lambda records: ~np.isin(records["key"], keys))
        self._replaced.append(gone)
        self._taken.append(self._run_of([remaining[np.isin(remaining["key"], keys)]]))

    def has_until(self, until_ms: int) -> bool:
        """Return whether there is anything to be taken of the panes that end by `until_ms`."""
        panes = chain(self._runs, self._fresh)
        return any(map(len, chain(self._taken, self._replaced))) or any(
            (pane + 1) * self._pane_ms <= until_ms for pane in panes
        )

    def begin(self, until_ms: int) -> int:
        """Begin to take the episodes of all panes that end by `until_ms`; return how many records they are."""
        fresh: list[Records] = []
        size = 0
        for pane in sorted(pane for pane in self._runs.keys() | self._fresh if (pane + 1) * self._pane_ms <= until_ms):
            self._taken += self._runs.pop(pane, ())
            for chunk in self._fresh.pop(pane, ()):
                fresh.append(chunk)
                size += len(chunk)
            if size >= _RUN:
                self._taken.append(self._run_of(fresh))
                fresh, size = [], 0
        self._taken.append(self._run_of(fresh))
        return sum(map(len, self._taken))

    def take_below(self, end: int) -> tuple[Records, Records]:
        """Take the episodes with keys below `end`, sorted by key, and a record of each replaced key below it.

        Those with other keys are pending until they are taken.
        """
        ends = [bisect_left(run["key"], end) for run in self._taken]
        chosen = [run[:place] for run, place in zip(self._taken, ends, strict=True)]
        self._taken = [run[place:] for run, place in zip(self._taken, ends, strict=True) if place < len(run)]
        replaced = np.concatenate([np.empty(0, self.dtype), *self._replaced])
        are_below = replaced["key"] < end
        self._replaced = [replaced[~are_below]]
        return self._run_of(chosen), replaced[are_below]

    def take_out(self, persons: Hashes) -> None:
        """Remove all events of some persons."""
        self._keep(lambda records: ~np.isin(records["person"], persons))

    def renumber_scopes(self, numbers: Ints) -> None:
        """Scope s becomes `numbers[s]`."""
        for chunk in chain(*self._lists()):
            chunk["scope"] = numbers[chunk["scope"]]

    def renumber_credited(self, numbers: Ints) -> None:
        """Credited person p becomes `numbers[p]`."""
        for chunk in chain(*self._lists()):
            credits_somebody = chunk["credited"] >= 0
            chunk["credited"][credits_somebody] = numbers[chunk["credited"][credits_somebody]]

    def _run_of(self, chunks: list[Records]) -> Records:
        records = np.concatenate([np.empty(0, self.dtype), *chunks], dtype=self.dtype)  # or it promotes field by field
        return united(records["key"], records, self._gap_ms).episodes.records

    def _keep(self, are_kept: Callable[[Records], Mask]) -> None:
        for chunks in self._lists():
            chunks[:] = [chunk[are_kept(chunk)] for chunk in chunks]

    def _lists(self) -> Iterator[list[Records]]:
        return chain([self._taken, self._replaced], self._runs.values(), self._fresh.values())
