"""Parts: a segment cut into pieces that fit into a record."""

from collections.abc import Iterable, Sequence

from stream_app.core.changelog.pane_content import PaneRun

MOST_ENTRIES = 8_000
"""Entries, or hashes of events, of a part: a third of a megabyte with names of usual length."""


def size_of(part: list[PaneRun]) -> int:
    """Return how large a part is, in entries."""
    return max(len(part), sum(max(len(run.entries.users), len(run.hashes)) for run in part))


def halves_of(part: list[PaneRun]) -> list[list[PaneRun]]:
    """Cut a part in two: between its runs, or within its only one."""
    if len(part) > 1:
        return [part[: len(part) // 2], part[len(part) // 2 :]]
    (run,) = part
    middle, middle_hash = (len(run.entries.users) + 1) // 2, (len(run.hashes) + 1) // 2
    first = run.between(slice(middle), slice(middle_hash))
    rest = run.between(slice(middle, None), slice(middle_hash, None))
    return [[first], [rest]]


def split(contents: Sequence[PaneRun]) -> Iterable[list[PaneRun]]:
    """Cut runs into parts of at most MOST_ENTRIES, with the hashes of each piece of a run sorted."""
    part: list[PaneRun] = []
    room = MOST_ENTRIES
    for content in contents:
        size = max(len(content.entries.users), len(content.hashes))
        for start in range(0, max(size, 1), MOST_ENTRIES):
            piece = content.part(slice(start, start + MOST_ENTRIES))
            if (used := max(len(piece.entries.users), len(piece.hashes))) > room:
                yield part
                part, room = [], MOST_ENTRIES
            part.append(piece)
            room -= used
    yield part
