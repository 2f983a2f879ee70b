"""The funnel log: writes decisions of a stored funnel to the log of its ledger, and knows which are garbage."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from stream_app.core.changelog.header import FunnelProgress
from stream_app.core.changelog.replay import ReplayedLog
from stream_app.core.changelog.segments import Kind, Segment, decode, joined_pieces
from stream_app.core.funnel.stored.event_history import is_chunk
from stream_app.core.funnel.stored.stored_funnel import StoredFunnel

Write = Callable[[Kind, int, bytes], Mapping[bytes, bytes]]
"""Writes a decision, number and content, with the next sequence, or a chunk; returns its parts by key."""


class FunnelLog:
    """The decisions of one partition in its log."""

    def __init__(
        self,
        funnel: StoredFunnel,
        held: ReplayedLog,
        write: Write,
        write_state: Callable[[], None],
        next_sequence: Callable[[], int],
    ) -> None:
        """Restore what is `held` into an empty funnel. `write_state` writes a delta with the next sequence."""
        self.funnel = funnel
        self._write = write
        self._write_state = write_state
        self._next_sequence = next_sequence
        self._garbage: list[bytes] = []
        self._keys = [part for key, parts in held.decisions.values() for part in key.parts(len(parts))]
        """Of the decisions that are needed."""
        decisions = {number: joined_pieces(parts) for number, (_, parts) in held.decisions.items()}
        self.funnel.restore(held.header.funnel if held.header else FunnelProgress(), decisions)
        for number, (key, parts) in sorted(held.sealed.items()):
            if is_chunk(number):
                self.funnel.history.restore(number, _content(parts), key.parts(len(parts)))
        for key, parts in held.deltas.items():
            if value := joined_pieces(parts):
                self.funnel.restore_delta(key.sequence, value)

    def decide(self, until_ms: int, *, early: bool) -> None:
        """Decide what came before a time, or `early` everything; if decisions have become many, write them as one."""
        early = early or self.funnel.is_full
        self._put(self.funnel.decide(until_ms, self._next_sequence(), early=early))
        if self.funnel.is_large:
            self._write_whole()

    def take_out(self, users: Collection[str], until_ms: int) -> None:
        """Remove people who are erased. No delta or decision that was written before is needed any more."""
        self._put(self.funnel.decide(until_ms, self._next_sequence(), early=True))
        self.funnel.take_out(users)
        self._write_whole()
        for number, value, keys in self.funnel.history.take_out(users, self.funnel.funnel.keys.persons([*users])):
            self._garbage += keys
            self._write_chunk(number, value)
        self.keep(is_sealing=True)

    def keep(self, *, is_sealing: bool) -> None:
        """Copy the events of deltas into the history, if they are many or panes are being sealed."""
        if due := self.funnel.history.due(is_sealing=is_sealing):
            self._write_chunk(*due)

    def _write_chunk(self, number: int, value: bytes) -> None:
        written = self._write("pane", number, value)
        self.funnel.history.written(number, _content([*map(decode, written.values())]), [*written])

    def _write_whole(self) -> None:
        """Write all that is held as one decision; those before it are garbage."""
        self._garbage += self._keys
        self._keys = []
        self._put([self.funnel.whole(self._next_sequence())])

    def take_garbage(self) -> list[bytes]:
        """Return the keys of decisions that have become garbage since the last call."""
        taken, self._garbage = self._garbage, []
        return taken

    def _put(self, decisions: Iterable[tuple[int, bytes]]) -> None:
        written = [key for number, value in decisions for key in self._write("funnel", number, value)]
        if written:
            self._keys += written
            self._write_state()
            self._garbage += self.funnel.history.take_left()


def _content(parts: Sequence[Segment]) -> bytes | memoryview:
    """Return what the parts of a segment have for the funnel; of one part without a copy."""
    return parts[0].funnel if len(parts) == 1 else joined_pieces(parts)
