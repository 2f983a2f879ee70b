"""Pane series: the counts of single users in each pane of the window, read from open panes and segments."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import unpack
from stream_app.core.changelog.segments import Segment, SegmentKey
from stream_app.core.state import panes
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

PaneKey = SegmentKey
"""Names a stored pane. What is stored under it never changes."""


class PaneCounts(NamedTuple):
    """The counts of a user in a scope and pane."""

    user: str
    scope: ScopeName
    pane: int
    counts: tuple[int, int]
    """Posts and impressions."""


class PackedPane(NamedTuple):
    """A pane whose content is only in its stored segment, and never changes."""

    key: PaneKey
    parts: list[Segment]


Series = dict[tuple[str, ScopeName], dict[int, tuple[int, int]]]
"""By user and scope: (posts, impressions) by pane. Panes without counts are left out."""


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
    columns = (ledger.rows.users_of(found), ledger.rows.scopes_of(found), numbers, together.posts, together.impressions)
    for user, scope, number, posts, impressions in zip(*(column.tolist() for column in columns), strict=True):
        series[names[user], scopes[scope]][number] = (posts, impressions)
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
        for user, scope, posts, impressions in zip(*(column[places].tolist() for column in columns), strict=True):
            yield PaneCounts(names[user], scopes[scope], run.pane, (posts, impressions))


def summed(parts: Iterable[PaneCounts]) -> Series:
    """Sum counts of the same user, scope and pane."""
    series: Series = defaultdict(dict)
    for made in parts:
        by_pane = series[made.user, made.scope]
        posts, impressions = by_pane.get(made.pane, (0, 0))
        by_pane[made.pane] = (posts + made.counts[0], impressions + made.counts[1])
    return series
