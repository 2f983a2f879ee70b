"""Credited people: what recruited entries and shares of others did for people, by scope, in the window.

The second stage: it reads the credits that all partitions decided, keyed by who is credited. Sums of credits do not
depend on their order; repeats are taken out before, by the ids of the credits.

Effective sharers take the shares c of each sharer. They are kept here, 8 bytes of key and 4 of count for a pair of
(scope, author) and sharer, and Σ c² follows each change: d more shares add (c + d)² − c². A credit is kept until its
pane leaves the window, and then taken back in the same way. With c kept where the sharer is, every share that leaves
the window would have to be sent a second time.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.funnel.episodes.episode_records import Records
from stream_app.core.funnel.funnel_events import entry_keys
from stream_app.core.funnel.funnel_keys import FunnelKeys, mixed
from stream_app.core.funnel.funnel_scopes import FunnelScopes
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.scope_cells import NO_PANE
from stream_app.core.messages import ALL_TOPICS
from stream_app.core.state.scopes import ScopeName

_ROW = np.dtype(
    [
        ("amplified", np.int64),
        ("squares", np.int64),
        ("scope", np.int32),
        ("recruits", np.int32),
        ("shares", np.int32),
        ("sharers", np.int32),
    ]
)
_CREDIT = np.dtype(
    [("amplified", np.int64), ("row", np.int32), ("pair", np.int32), ("recruits", np.int32), ("shares", np.int32)]
)
T = TypeVar("T", bound=np.generic)
_NO_PAIR = -1
_DEAD_KEPT = 1000


class Credited(NamedTuple):
    """What some people have been credited with: columns of equal length."""

    recruits: Ints
    amplified: Ints
    """Impressions of others' shares of their posts, the first share of each sharer and post."""
    shares: Ints
    sharers: Ints
    squares: Ints
    """Σ c² over the shares of each sharer."""


class CreditedPeople:
    """Sums by scope and person over the panes of the window."""

    def __init__(self, pane_ms: int, keys: FunnelKeys) -> None:
        self._pane_ms, self._keys = pane_ms, keys
        self.scopes = FunnelScopes(keys)
        self._index, self._rows = HashIndex(), np.zeros(0, _ROW)
        self._pairs, self._pair_shares = HashIndex(), np.zeros(0, np.int32)
        self._panes: dict[int, list[Records]] = {}
        self._first = NO_PANE

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        chunks = sum(chunk.nbytes for chunks in self._panes.values() for chunk in chunks)
        tables = self._index.nbytes + self._rows.nbytes + self._pairs.nbytes + self._pair_shares.nbytes
        return tables + chunks

    def add(self, credits_: InfluenceCredits) -> None:
        """Add credits that were not added before; those of panes before the window are left out."""
        panes = credits_.ts_ms // self._pane_ms
        credits_, panes = credits_.at(panes >= self._first), panes[panes >= self._first]
        if not len(panes):
            return
        scopes = self.scopes.add_used(credits_.scope_names, credits_.scopes)
        keys = entry_keys(self._keys.persons(credits_.credited), self.scopes.hashes[scopes])
        records = np.empty(len(panes), _CREDIT)
        records["row"] = rows = self._index.add(keys)
        self._rows = _wider(self._rows, len(self._index))
        self._rows["scope"][rows] = scopes
        records["pair"] = _NO_PAIR
        are_shares = np.flatnonzero(credits_.shares)
        sharers = mixed(keys[are_shares].view(np.uint64), credits_.persons[are_shares])
        records["pair"][are_shares] = self._pairs.add(sharers.view(np.int64))
        self._pair_shares = _wider(self._pair_shares, len(self._pairs))
        records["recruits"], records["shares"] = credits_.recruits, credits_.shares
        records["amplified"] = credits_.impressions
        self._count(records, 1)
        for pane in distinct_in(panes).tolist():
            chunks, chunk = self._panes.setdefault(pane, []), records[panes == pane]
            while chunks and len(chunks[-1]) < 2 * len(chunk):  # few chunks, and each credit is copied a few times
                chunk = np.concatenate([chunks.pop(), chunk])
            chunks.append(chunk)

    def expire(self, first: int) -> None:
        """Take back the credits of panes before `first`."""
        self._first = max(self._first, first)
        for pane in [pane for pane in self._panes if pane < first]:
            self._count(np.concatenate(self._panes.pop(pane)), -1)
        self._drop_dead()
        used = np.zeros(len(self.scopes), np.bool_)
        used[self._rows["scope"][: len(self._index)]] = True
        if (numbers := self.scopes.drop(used)) is not None:
            self._rows["scope"] = numbers[self._rows["scope"]]

    def take_out(self, names: Sequence[str]) -> None:
        """Remove what people who are erased were credited with. What they gave to others stays, without a name."""
        persons = self._keys.persons(names)
        rows = [self._index.find(entry_keys(persons, scope)) for scope in self.scopes.hashes]
        gone = np.concatenate([np.empty(0, np.int64), *rows])
        for chunks in self._panes.values():
            for place, chunk in enumerate(chunks):
                is_gone = np.isin(chunk["row"], gone)
                self._count(chunk[is_gone], -1)
                chunks[place] = chunk[~is_gone]

    def of(self, scope: ScopeName, people: Sequence[str]) -> Credited:
        """Return what some people have been credited with in a scope."""
        number = self.scopes.find(scope)
        rows = np.full(len(people), -1)
        if number is not None:
            rows = self._index.find(entry_keys(self._keys.persons(people), self.scopes.hashes[number]))
        held = np.zeros(len(people), _ROW)
        held[rows >= 0] = self._rows[rows[rows >= 0]]
        return _columns(held)

    def widest(self, people: Sequence[str]) -> Credited:
        """Return what some people have been credited with in the population where most of theirs was shared."""
        persons, best = self._keys.persons(people), np.zeros(len(people), _ROW)
        for number in self._everybody():
            rows = self._index.find(entry_keys(persons, self.scopes.hashes[number]))
            more = np.flatnonzero(rows >= 0)
            more = more[self._rows["shares"][rows[more]] > best["shares"][more]]
            best[more] = self._rows[rows[more]]
        return _columns(best)

    def in_populations(self) -> Credited:
        """Return what everybody has been credited with, by population, without their names."""
        rows = self._rows[: len(self._index)]
        return _columns(rows[np.isin(rows["scope"], self._everybody())])

    def _everybody(self) -> list[int]:
        """Return the scopes of whole populations."""
        return [number for number, name in enumerate(self.scopes.names) if name.topic == ALL_TOPICS]

    def in_scope(self, scope: ScopeName) -> Credited:
        """Return what everybody has been credited with in a scope, without their names."""
        rows = self._rows[: len(self._index)]
        number = self.scopes.find(scope)
        return _columns(rows[rows["scope"] == (-1 if number is None else number)])

    def sums(self, scope: ScopeName) -> FunnelSums:
        """Return the stages of the funnel that are counted here."""
        held = self.in_scope(scope)
        return FunnelSums(
            advocates=int(np.count_nonzero(held.shares > 0)), recruiters=int(np.count_nonzero(held.recruits > 0))
        )

    def by_scope(self) -> Ints:
        """Return advocates and recruiters by number of the scope: of shape (2, scopes)."""
        rows = self._rows[: len(self._index)]
        scopes = [rows["scope"][rows[field] > 0] for field in ("shares", "recruits")]
        return np.stack([np.bincount(found, minlength=len(self.scopes)) for found in scopes])

    def _count(self, records: Records, sign: int) -> None:
        rows = records["row"]
        for field in ("recruits", "shares", "amplified"):
            np.add.at(self._rows[field], rows, sign * records[field])
        shares = records[records["pair"] >= 0]
        pairs, first, places = np.unique(shares["pair"], return_index=True, return_inverse=True)
        rows, before = shares["row"][first], self._pair_shares[pairs].astype(np.int64)
        after = before + sign * np.bincount(places, shares["shares"], len(pairs)).astype(np.int64)
        self._pair_shares[pairs] = after
        np.add.at(self._rows["squares"], rows, after**2 - before**2)
        np.add.at(self._rows["sharers"], rows, (after > 0).astype(np.int32) - (before > 0))

    def _drop_dead(self) -> None:
        """Drop rows and pairs that no credit of the window names, once they are many."""
        used_rows, used_pairs = np.zeros(len(self._index), np.bool_), np.zeros(len(self._pairs), np.bool_)
        for chunks in self._panes.values():
            for chunk in chunks:
                used_rows[chunk["row"]] = True
                used_pairs[chunk["pair"][chunk["pair"] >= 0]] = True
        if not (_are_few(used_rows) or _are_few(used_pairs)):
            return
        self._index, self._rows = HashIndex(self._index.keys[used_rows]), self._rows[: len(used_rows)][used_rows]
        self._pairs = HashIndex(self._pairs.keys[used_pairs])
        self._pair_shares = self._pair_shares[: len(used_pairs)][used_pairs]
        new_rows, new_pairs = np.cumsum(used_rows) - 1, np.cumsum(used_pairs) - 1
        for chunks in self._panes.values():
            for chunk in chunks:
                chunk["row"] = new_rows[chunk["row"]]
                has_pair = chunk["pair"] >= 0
                chunk["pair"][has_pair] = new_pairs[chunk["pair"][has_pair]]


def _columns(rows: Records) -> Credited:
    return Credited(*(rows[field].astype(np.int64) for field in Credited._fields))


def _are_few(used: Mask) -> bool:
    return int(np.count_nonzero(~used)) > max(_DEAD_KEPT, len(used) // 4)


def _wider(column: NDArray[T], size: int) -> NDArray[T]:
    if size <= len(column):
        return column
    wider = np.zeros(max(size, len(column) * 9 // 8), column.dtype)
    wider[: len(column)] = column
    return wider
