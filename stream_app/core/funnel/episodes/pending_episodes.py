"""Pending episodes: events that are not decided yet, united by pane and key as they become many."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from stream_app.core.arrays import Hashes, Ints, distinct_in
from stream_app.core.funnel.episodes.episode_records import Records, united

_MANY = 65_536
"""So many records of a pane are united, and again when they have doubled."""


class PendingEpisodes:
    """Events of panes that are not sealed, and late ones of others."""

    def __init__(self, dtype: np.dtype[Any], pane_ms: int, gap_ms: int) -> None:
        """`dtype`: EPISODE or SHARED."""
        head = [("key", np.int64), ("person", np.uint64), ("scope", np.int32)]
        self.dtype: np.dtype[Any] = np.dtype([*head, *dtype.descr])
        self._pane_ms, self._gap_ms = pane_ms, gap_ms
        self._panes: dict[int, list[Records]] = {}
        self._sizes: dict[int, int] = {}
        """Records of a pane when they were last united."""
        self._replaced: list[Records] = []

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(chunk.nbytes for chunk in self._chunks())

    @property
    def scopes(self) -> Ints:
        """The scopes in it; they repeat."""
        return np.concatenate([np.empty(0, np.int32), *(chunk["scope"] for chunk in self._chunks())])

    @property
    def credited(self) -> Ints:
        """The numbers of credited persons in it; they repeat."""
        numbers = np.concatenate([np.empty(0, np.int32), *(chunk["credited"] for chunk in self._chunks())])
        return numbers[numbers >= 0]

    def add(self, records: Records) -> None:
        """Add events."""
        panes = records["first_ms"] // self._pane_ms
        for pane in distinct_in(panes).tolist():
            chunks = self._panes.setdefault(pane, [])
            chunks.append(records[panes == pane])
            if sum(map(len, chunks)) >= 2 * max(self._sizes.get(pane, 0), _MANY):
                chunks[:] = [self._united(chunks)]
                self._sizes[pane] = len(chunks[0])

    def replace(self, gone: Records, remaining: Records) -> None:
        """Take events back. What `remaining` has of their keys is from now on all that is known of these."""
        keys = gone["key"]
        for chunks in self._panes.values():
            chunks[:] = [chunk[~np.isin(chunk["key"], keys)] for chunk in chunks]
        self._replaced.append(gone)
        self.add(remaining[np.isin(remaining["key"], keys)])

    def take(self, until_ms: int) -> tuple[Records, Records]:
        """Return the episodes of all panes that end by `until_ms`, sorted by key, and a record of each replaced key.

        They are not pending any more.
        """
        panes = sorted(pane for pane in self._panes if (pane + 1) * self._pane_ms <= until_ms)
        for pane in panes:
            self._sizes.pop(pane, None)
        chunks = [chunk for pane in panes for chunk in self._panes.pop(pane)]
        replaced = np.concatenate([np.empty(0, self.dtype), *self._replaced])
        self._replaced = []
        return self._united([np.empty(0, self.dtype), *chunks]), replaced

    def take_out(self, persons: Hashes) -> None:
        """Remove all events of some persons."""
        for chunks in self._panes.values():
            chunks[:] = [chunk[~np.isin(chunk["person"], persons)] for chunk in chunks]
        self._replaced = [gone[~np.isin(gone["person"], persons)] for gone in self._replaced]

    def renumber_scopes(self, numbers: Ints) -> None:
        """Scope s becomes `numbers[s]`."""
        for chunk in self._chunks():
            chunk["scope"] = numbers[chunk["scope"]]

    def renumber_credited(self, numbers: Ints) -> None:
        """Credited person p becomes `numbers[p]`."""
        for chunk in self._chunks():
            credits_somebody = chunk["credited"] >= 0
            chunk["credited"][credits_somebody] = numbers[chunk["credited"][credits_somebody]]

    def _united(self, chunks: list[Records]) -> Records:
        together = np.concatenate(chunks)
        return united(together["key"], together, self._gap_ms).episodes.records

    def _chunks(self) -> Iterator[Records]:
        return chain(self._replaced, *self._panes.values())
