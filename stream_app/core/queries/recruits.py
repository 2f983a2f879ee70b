"""Queries about recruits: whom somebody brought into a scope, as far as they are people of one partition.

The funnel has the recruiter of an entry by name and who entered by hash. Who has an event in the window is in the
ledger, by name: hashed again they are found. Of all others there is no name here, so nothing is said of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.funnel.episodes.deciding import are_new
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_events import entry_keys
from stream_app.core.messages import Role
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

_AT_ONCE = 10_000
"""So many names are hashed in a step."""
_NOBODY = -9
"""In place of the number of somebody who is not credited: no entry has it."""


class RecruitEntry(NamedTuple):
    """An entry that names its recruiter."""

    user: str
    """Who came."""
    entered_ms: int
    is_new: bool
    """Else re-entered."""
    impressions: int
    """Of who came, in the scope and window."""


class RecruitedBy(NamedTuple):
    """Whom one person brought in."""

    total: int
    """Entries, however many are listed."""
    newest: list[RecruitEntry]
    """The newest first."""


class RecruitSearch:
    """A search in one partition, in steps: in between its funnel and ledger may change."""

    def __init__(self, funnel: Funnel, ledger: Ledger, scope: ScopeName, recruiters: Sequence[str]) -> None:
        self._funnel, self._ledger = funnel, ledger
        self._scope, self._recruiters = scope, recruiters
        self._names: list[str] = []
        self._keys: list[int] = []

    def steps(self) -> Iterator[None]:
        """Look for everybody whom a recruiter brought."""
        recruited = self._funnel.entries.crediting(self._numbers())
        if not len(recruited):
            return
        yield
        index = HashIndex(recruited)
        yield
        names, keys = self._people(), self._funnel.keys
        scope_hash = keys.scopes([self._scope])[0]
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            theirs = entry_keys(keys.persons(some), scope_hash)
            for place in np.flatnonzero(index.find(theirs) >= 0).tolist():
                self._names.append(some[place])
                self._keys.append(int(theirs[place]))
            yield

    def found(self, most: int) -> list[RecruitedBy]:
        """What was found, by place of the recruiter, with at most `most` entries of each; as of now."""
        held = self._funnel.entries.of(np.array(self._keys, np.int64))
        groups, records = held.episodes
        is_new = are_new(held)
        numbers = self._numbers()
        order = np.lexsort((groups, -records["first_ms"], records["credited"]))
        credited = records["credited"][order]
        ends = zip(np.searchsorted(credited, numbers), np.searchsorted(credited, numbers, "right"), strict=True)
        return [
            RecruitedBy(int(end - start), self._entries(groups[some], records["first_ms"][some], is_new[some]))
            for start, end in ends
            for some in [order[start : min(end, start + most)]]
        ]

    def _entries(self, groups: Ints, times_ms: Ints, is_new: Mask) -> list[RecruitEntry]:
        users = [self._names[group] for group in groups.tolist()]
        columns = (times_ms.tolist(), is_new.tolist(), self._impressions(users))
        return [RecruitEntry(*entry) for entry in zip(users, *columns, strict=True)]

    def _numbers(self) -> Ints:
        """Return the recruiters as the funnel numbers them, _NOBODY where it knows none."""
        return np.array([self._funnel.people.get(name, _NOBODY) for name in self._recruiters], np.int64)

    def _people(self) -> list[str]:
        """Return who has an event of the scope in the window."""
        rows, names = self._ledger.rows, self._ledger.users.names
        number = self._ledger.scopes.find(self._scope)
        if number is None:
            return []
        return [names[user] for user in rows.users_of(np.flatnonzero(rows.scopes == number)).tolist()]

    def _impressions(self, names: Sequence[str]) -> list[int]:
        """Return the impressions of some people; 0 of who has left meanwhile."""
        ledger, number = self._ledger, self._ledger.scopes.find(self._scope)
        users = np.array([ledger.users.get(name, -1) for name in names], np.int64)
        made = np.zeros(len(users), np.int64)
        if number is not None:
            there = np.flatnonzero(users >= 0)
            rows = ledger.rows.find(np.full(len(there), number), users[there])
            made[there[rows >= 0]] = ledger.rows.values(Role.CONNECTOR.place)[rows[rows >= 0]]
        return list(map(int, made.tolist()))
