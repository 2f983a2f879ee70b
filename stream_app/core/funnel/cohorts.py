"""Cohorts: how many recruits the people who first came on one day have brought within a horizon after they came."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.funnel.episodes.episode_records import Records
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_counts import DAY_MS
from stream_app.core.funnel.funnel_events import entry_keys
from stream_app.core.funnel.funnel_scopes import FunnelScopes
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.scope_cells import CellCounts, ScopeCells
from stream_app.core.state.scopes import ScopeName

_RECRUIT = np.dtype([("key", np.int64), ("ts_ms", np.int64), ("scope", np.int32), ("recruits", np.int32)])
_MANY = 65_536


class Cohort(NamedTuple):
    """The people of a scope who first came on one day; those of several partitions are added up."""

    people: int = 0
    recruits: int = 0
    """Of them, within the horizon after their own first event."""

    @property
    def r(self) -> float | None:
        """Recruits for each of them; None without people."""
        return self.recruits / self.people if self.people else None

    def plus(self, other: "Cohort") -> "Cohort":
        """Return the cohort of both partitions."""
        return Cohort(self.people + other.people, self.recruits + other.recruits)


class Cohorts:
    """The cohorts of one partition: its funnel says who first came when, the credits it gets whom they recruited."""

    def __init__(self, horizon_ms: int, funnel: Funnel) -> None:
        self.horizon_ms = horizon_ms
        self._funnel = funnel
        self._scopes = FunnelScopes(funnel.keys)
        self._recruits: list[Records] = [np.empty(0, _RECRUIT)]
        self._united = 0
        """Records when they were last united."""
        self._finished = ScopeCells(len(Cohort._fields))
        self._first_day = -(2**62)
        """The first day that is not finished."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._finished.nbytes + sum(chunk.nbytes for chunk in self._recruits)

    def add(self, credits_: InfluenceCredits) -> None:
        """Add the recruits of credits that were not added before."""
        credits_ = credits_.at(credits_.recruits != 0)
        if not len(credits_.ts_ms):
            return
        scopes = self._scopes.add_used(credits_.scope_names, credits_.scopes)
        records = np.empty(len(scopes), _RECRUIT)
        records["key"] = entry_keys(self._funnel.keys.persons(credits_.credited), self._scopes.hashes[scopes])
        records["ts_ms"], records["scope"], records["recruits"] = credits_.ts_ms, scopes, credits_.recruits
        self._recruits.append(records)
        if sum(map(len, self._recruits)) >= 2 * max(self._united, _MANY):
            self._united = len(self._joined())

    def take_out(self, names: Sequence[str]) -> None:
        """Remove the recruits of people who are erased, but not from days that are finished."""
        persons = self._funnel.keys.persons(names)
        keys = [entry_keys(persons, scope) for scope in self._scopes.hashes]
        records = self._joined()
        self._recruits = [records[~np.isin(records["key"], np.concatenate([np.empty(0, np.int64), *keys]))]]

    @property
    def scope_names(self) -> Sequence[ScopeName]:
        """The names of scopes by number."""
        return self._scopes.names

    @property
    def known_before(self) -> int:
        """The first day since the epoch whose people have not all had their horizon."""
        return (self._funnel.decided_ms - self.horizon_ms) // DAY_MS

    def all(self) -> CellCounts:
        """Return people and recruits by day and scope, also of days that are not known yet."""
        cells, unfinished = self._finished.all(), self._unfinished(self._funnel.newcomers.all(), self._joined()).all()
        return CellCounts(*(np.concatenate(pair, axis=-1) for pair in zip(cells, unfinished, strict=True)))

    def of(self, scope: ScopeName, day: int) -> Cohort | None:
        """Return the cohort of a day since the epoch; None until the horizon of everybody in it is over."""
        return None if day >= self.known_before else self.days(scope).get(day, Cohort())

    def days(self, scope: ScopeName) -> dict[int, Cohort]:
        """Return the cohorts of a scope by day since the epoch, also of days that are not known yet.

        Only what is of that scope is added up: it is asked while events are counted.
        """
        number, came = self._scopes.find(scope), self._funnel.scopes.find(scope)
        mine = [chunk[chunk["scope"] == (-1 if number is None else number)] for chunk in self._recruits]
        people = _of_scope(self._funnel.newcomers.all(), came)
        unfinished = self._unfinished(people, np.concatenate(mine)).all()
        found: dict[int, Cohort] = {}
        for cells in (_of_scope(self._finished.all(), number), unfinished):
            counts = zip(cells.panes.tolist(), cells.counts.T.tolist(), strict=True)
            found |= {day: Cohort(*counted) for day, counted in counts}
        return found

    def finish(self, window_start_ms: int) -> None:
        """Finish the days that no event of the window can change, before the funnel forgets who came on them.

        The funnel must keep what came up to a day and the horizon before the window.
        """
        day = (window_start_ms - self.horizon_ms) // DAY_MS
        cells = self._unfinished(self._funnel.newcomers.all(), self._joined()).all()
        over = cells.panes < day
        self._finished.add(CellCounts(cells.panes[over], cells.scopes[over], cells.counts[:, over]))
        self._first_day = max(self._first_day, day)
        records = self._joined()
        self._recruits = [records[records["ts_ms"] >= self._first_day * DAY_MS]]
        self._united = len(self._recruits[0])

    def forget(self, day: int) -> None:
        """Forget the finished days before `day`."""
        self._finished.forget(min(day, self._first_day))
        used = self._finished.used(len(self._scopes))
        used[self._joined()["scope"]] = True
        if (numbers := self._scopes.drop(used)) is not None:
            self._finished.renumber(numbers)
            self._recruits[0]["scope"] = numbers[self._recruits[0]["scope"]]

    def _unfinished(self, people: CellCounts, records: Records) -> ScopeCells:
        """Return new people and recruits by the day on which they, or their recruiter, first came."""
        cells = ScopeCells(len(Cohort._fields))
        cells.forget(self._first_day)
        scopes = self._scopes.add_used(self._funnel.scopes.names, people.scopes)
        cells.add(CellCounts(people.panes, scopes, np.stack([people.counts[0], np.zeros(len(scopes), np.int64)])))
        came_ms = self._funnel.entries.first_ms(records["key"])
        after_ms = records["ts_ms"] - came_ms
        within = (after_ms > 0) & (after_ms <= self.horizon_ms)
        recruits = records["recruits"][within].astype(np.int64)
        counts = np.stack([np.zeros(len(recruits), np.int64), recruits])
        cells.add(CellCounts(came_ms[within] // DAY_MS, records["scope"][within].astype(np.int64), counts))
        return cells

    def _joined(self) -> Records:
        """Return all recruits, one record for each time of a recruiter, without those that were taken back."""
        if len(self._recruits) > 1:
            self._recruits = [_summed(np.concatenate(self._recruits))]
        return self._recruits[0]


def _of_scope(cells: CellCounts, number: int | None) -> CellCounts:
    chosen = cells.scopes == (-1 if number is None else number)
    return CellCounts(cells.panes[chosen], cells.scopes[chosen], cells.counts[:, chosen])


def _summed(records: Records) -> Records:
    records = records[np.lexsort((records["ts_ms"], records["key"]))]
    begins = np.ones(len(records), np.bool_)
    begins[1:] = (records["key"][1:] != records["key"][:-1]) | (records["ts_ms"][1:] != records["ts_ms"][:-1])
    starts = np.flatnonzero(begins)
    sums: Ints = np.add.reduceat(records["recruits"], starts)
    records = records[starts]
    records["recruits"] = sums
    left: Records = records[sums != 0]
    return left
