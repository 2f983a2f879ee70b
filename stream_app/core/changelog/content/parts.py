"""Parts: a segment cut into pieces that fit into a record."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream_app.core.changelog.content.pane_content import PaneRun

NO_PIECE = memoryview(b"")
MOST_ENTRIES = 8_000
"""Entries, or hashes of events, of a part: a third of a megabyte with names of usual length."""


class SegmentPart(NamedTuple):
    """What is stored in one record."""

    runs: list[PaneRun]
    looked_at: Sequence[bytes] = ()
    """Values of the signals, see `signal_log`."""
    funnel: memoryview = NO_PIECE
    """Of what the funnel needs, a piece."""

    @property
    def can_be_halved(self) -> bool:
        """Whether anything of it can be stored in another record."""
        return self._size > 1 or len(self.looked_at) > 1 or bool(self.runs and self.looked_at)

    @property
    def _size(self) -> int:
        return max(len(self.runs), sum(max(len(run.entries.users), len(run.hashes)) for run in self.runs))

    def halves(self) -> list["SegmentPart"]:
        """Cut it in two: between counts and signals, between its runs, or within its only one."""
        if self.runs and self.looked_at:
            return [SegmentPart(self.runs), SegmentPart([], self.looked_at)]
        if middle := len(self.looked_at) // 2:
            return [SegmentPart([], self.looked_at[:middle]), SegmentPart([], self.looked_at[middle:])]
        if len(self.runs) > 1:
            return [SegmentPart(self.runs[: len(self.runs) // 2]), SegmentPart(self.runs[len(self.runs) // 2 :])]
        (run,) = self.runs
        middle, middle_hash = (len(run.entries.users) + 1) // 2, (len(run.hashes) + 1) // 2
        first = run.between(slice(middle), slice(middle_hash))
        rest = run.between(slice(middle, None), slice(middle_hash, None))
        return [SegmentPart([first]), SegmentPart([rest])]


def parts_of(contents: Sequence[PaneRun], looked_at: Sequence[bytes], most_bytes: int) -> list[SegmentPart]:
    """Cut the content of a segment into parts with few entries, and few bytes of signals: at most `most_bytes`.

    A single value of the signals may be larger.
    """
    parts, size = [SegmentPart(runs) for runs in split(contents)], 0
    for value in looked_at:
        last = parts[-1]
        if last.looked_at and size + len(value) > most_bytes:
            parts.append(SegmentPart([], [value]))
            size = len(value)
        else:
            parts[-1] = SegmentPart(last.runs, [*last.looked_at, value])
            size += len(value)
    return parts


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
