"""Pane series: the counts of single users in each pane of the window, read from open panes and segments."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from operator import add
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, at
from stream_app.core.changelog.columns import unpack
from stream_app.core.changelog.content.stored_credits import credits_in
from stream_app.core.changelog.segments import Segment, SegmentKey
from stream_app.core.messages import MEASURES
from stream_app.core.state import panes
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

PaneKey = SegmentKey
"""Names a stored pane. What is stored under it never changes."""


Counts = tuple[int, ...]
"""In the order of MEASURES."""
NO_COUNTS: Counts = (0,) * len(MEASURES)


class PaneCounts(NamedTuple):
    """The counts of a user in a scope and pane."""

    user: str
    scope: ScopeName
    pane: int
    counts: Counts


class PackedPane(NamedTuple):
    """A pane whose content is only in its stored segment, and never changes."""

    key: PaneKey
    parts: list[Segment]


Series = dict[tuple[str, ScopeName], dict[int, Counts]]
"""By user and scope: counts by pane. Panes without counts are left out."""


def packed_panes(ledger: Ledger) -> Iterator[PackedPane]:
    """Yield the packed panes, whose parts are read with `read`."""
    for pane in ledger.panes.values():
        if pane.sealed and pane.packed:
            yield PackedPane(*pane.sealed)


def open_panes(ledger: Ledger, rows: Ints) -> Series:
    """Return the series of some rows in panes that are not packed."""
    size = len(ledger.rows)
    wanted = np.zeros(size, np.bool_)
    wanted[rows] = True
    parts = [
        theirs._replace(rows=place * size + theirs.rows.astype(np.int64))
        for place, pane in enumerate(ledger.panes.values())
        for theirs in (chunk.part(wanted[chunk.rows]) for chunk in pane.chunks)
    ]
    together = panes.summed(*panes.joined(parts))
    places, found = np.divmod(together.rows, max(size, 1))
    numbers = np.array([*ledger.panes], np.int64)[places]
    scopes, names = ledger.scopes.names(), ledger.users.names
    series: Series = defaultdict(dict)
    measures = _measures(together.posts, together.impressions, together.recruits, together.amplified)
    columns = (ledger.rows.users_of(found), ledger.rows.scopes_of(found), numbers, *measures)
    for user, scope, number, *counts in zip(*(column.tolist() for column in columns), strict=True):
        series[names[user], scopes[scope]][number] = tuple(counts)
    return series


def read(part: Segment, users: Collection[str]) -> Iterator[PaneCounts]:
    """Yield the counts of some users in a stored part."""
    names = part.users()
    numbers = [number for number, name in enumerate(names) if name in users]
    if not numbers:
        return
    scopes = [ScopeName(*scope) for scope in part.scopes()]
    columns = tuple(unpack(column) for column in (part.user, part.scope, part.posts, part.impressions))
    for run in part.runs():
        places = run.entries.start + np.flatnonzero(np.isin(columns[0][run.entries], numbers))
        user, scope, posts, impressions = (column[places] for column in columns)
        given = (at(column, places - run.entries.start) for column in credits_in(part.packed_credits, run.entries))
        found = zip(
            user.tolist(), scope.tolist(), *(c.tolist() for c in _measures(posts, impressions, *given)), strict=True
        )
        for number, place, *counts in found:
            yield PaneCounts(names[number], scopes[place], run.pane, tuple(counts))


def summed(parts: Iterable[PaneCounts]) -> Series:
    """Sum counts of the same user, scope and pane."""
    series: Series = defaultdict(dict)
    for made in parts:
        by_pane = series[made.user, made.scope]
        by_pane[made.pane] = tuple(map(add, by_pane.get(made.pane, NO_COUNTS), made.counts))
    return series


def _measures(posts: Ints, impressions: Ints, recruits: Ints | None, amplified: Ints | None) -> tuple[Ints, ...]:
    """Return the columns in the order of MEASURES."""
    none = np.zeros(len(posts), np.int64)
    return posts, impressions, none if recruits is None else recruits, none if amplified is None else amplified
