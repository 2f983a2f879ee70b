"""The records that the old tracker could not count, as its dead letters say: runs of offsets, which may be long."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kafka import TopicPartition

from stream_app.core.events.dead_letter import DeadLetter, Origin
from stream_app.kafka.topic_scan import Spans
from stream_app.ops.dead_letters.origins import runs_of


class OffsetRuns:
    """A set of places in topics, held as the runs that they make."""

    def __init__(self, letters: Iterable[DeadLetter]) -> None:
        runs: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for letter in letters:
            runs.setdefault(letter.origin[:2], []).extend(runs_of(letter))
        self._runs = {place: list(_merged(sorted(found))) for place, found in runs.items()}

    def __contains__(self, origin: Origin) -> bool:
        runs = self._runs.get(origin[:2], [])
        at = bisect_right(runs, (origin.offset, 2**63)) - 1
        return at >= 0 and origin.offset <= runs[at][1]

    def __len__(self) -> int:
        return sum(last - first + 1 for runs in self._runs.values() for first, last in runs)


@dataclass(frozen=True)
class UncountedRecords:
    """Which records of the inputs stay out of the copy."""

    rejected: OffsetRuns
    unread: OffsetRuns
    """Those of batches that could not be read: whether they are seen now hangs on a setting."""
    unread_records: int

    def __contains__(self, origin: Origin) -> bool:
        return origin in self.rejected or origin in self.unread

    @classmethod
    def of(cls, letters: Iterable[DeadLetter], inputs: Spans) -> "UncountedRecords":
        """Return what the letters stand for.

        A shared one that does not list its runs is left out: between its first and last, records were counted. All of
        them are copied, and judged again.
        """
        known = {letter.identity: letter for letter in letters if _is_within(letter, inputs)}.values()
        unread = [letter for letter in known if letter.is_unread]
        runs = OffsetRuns(unread)
        records = min(sum(letter.shared.records for letter in unread if letter.shared), len(runs))
        return cls(OffsetRuns(letter for letter in known if _lists_all(letter)), runs, records)


def _is_within(letter: DeadLetter, inputs: Spans) -> bool:
    """Whether it is about records that are copied now: later ones have their turn, and others may write letters."""
    span = inputs.get(TopicPartition(letter.origin.topic, letter.origin.partition))
    return span is not None and letter.origin.offset < span.end


def _lists_all(letter: DeadLetter) -> bool:
    shared = letter.shared
    return shared is None or shared.records == sum(last - first + 1 for first, last in shared.ranges)


def _merged(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Those that touch or overlap as one; `runs` in order."""
    first, last = 0, -1
    for start, end in runs:
        if start <= last + 1 and last >= 0:
            last = max(last, end)
            continue
        if last >= 0:
            yield first, last
        first, last = start, end
    if last >= 0:
        yield first, last
