"""The ledger store of one partition: its ledger, and the segments that make it durable.

The problem: counts must survive a crash between any two writes, and no batch may be lost or counted twice, without
transactions. The changelog compacts by key, so what is stored is the last value of every key.

The invariant: counts and positions travel in one record. A batch becomes one *delta* segment that holds what it added
and how far every source has been counted. After a crash the ledger is replayed from the segments, and each source goes
on at the position they hold: a batch is in the changelog with its position, or it is neither counted nor passed.

    count      delta 7 │ delta 8 │ delta 9 │            one per batch, numbered by `sequence`
    maintain           │         │         │ pane 41@9  all of pane 41 up to sequence 9: it supersedes its deltas
    sweep      ✕ 7     │ ✕ 8     │         │            garbage goes, 9 stays: it holds the position

1. A batch becomes one delta. Its sequence is one above the last.
2. A pane is sealed: all it holds, as one segment that says up to which sequence. From then on a replay takes the pane
   from there, and of the deltas up to that sequence only the other panes.
3. What is superseded is garbage. It is deleted only after the group has confirmed that this worker still owned the
   partition when the seal was in the changelog (`sweep`), and after the changelog says which deltas are still needed:
   else a replay could not distinguish a deleted delta from a lost one.

A new owner first writes an epoch record that says how far it has read. What a former owner, frozen meanwhile, writes
beyond that is never part of the history (see `replay`). Change together: `segments` (the format), `replay` (which
segments count), and the simulation, which crashes between any two of these steps.
"""

from collections.abc import Callable, Collection, Mapping

from stream_app.core.arrays import Mask
from stream_app.core.changelog import segments
from stream_app.core.changelog.replay import OwnershipEpochs, ReplayedLog, replay
from stream_app.core.changelog.segments import Kind, SegmentKey
from stream_app.core.events.credit import Credits
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.panes import PaneContent
from stream_app.core.state.watermark import BatchCounts

Put = Callable[[bytes, bytes | None], None]
"""Write a value under a key, or delete it (None)."""

MOST_DELTAS = 256
"""Deltas kept before the panes they belong to are sealed although they are still open."""


class LedgerStore:
    """Counts what it is given and writes what must last."""

    def __init__(self, partition: int, ledger: Ledger, stored: Mapping[bytes, bytes], put: Put) -> None:
        """Replay what the changelog holds of `partition` into an empty `ledger`; `begin` comes before counting.

        Raises FormatError for segments of another release.
        """
        self.partition = partition
        self.ledger = ledger
        self._put = put
        held = replay(stored, partition)
        self._sequence = held.sequence
        self._deltas: dict[int, tuple[list[bytes], set[int], int]] = {}
        self._garbage = list(held.garbage)
        self._written = (0, 0)
        """What the newest header in the log says, see `_state`."""
        self._restore(held)
        self._live_epochs = {key.epoch for key in held.deltas} | {key.epoch for key, _ in held.sealed.values()}
        self.ownership: OwnershipEpochs = held.ownership

    def begin(self, generation: int) -> None:
        """Begin a new ownership: in this `generation` of the consumer group the partition is ours, says the group."""
        self.ownership = self.ownership.begin(generation, self._sequence, self._live_epochs)
        self._put(self._key("epoch", 0, 0).encode(), self.ownership.encode())

    @property
    def sequence(self) -> int:
        """Batches counted."""
        return self._sequence

    @property
    def segment_count(self) -> int:
        """Segments in the log that are not garbage."""
        return len(self._deltas) + sum(pane.sealed is not None for pane in self.ledger.panes.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes of the segments in the log that are not garbage; the table holds them in memory too."""
        sealed = sum(part.nbytes for pane in self.ledger.panes.values() if pane.sealed for part in pane.sealed[1])
        return sealed + sum(size for _, _, size in self._deltas.values())

    def count(self, topic: str, position: int, batch: Credits, late: Mask, rejected: int) -> BatchCounts:
        """Count a batch and write it, in one go: whatever is written next says that it was counted."""
        applied = self.ledger.apply(topic, position, batch, late, rejected)
        self._write_delta(applied.content)
        return applied.counts

    def write_state(self) -> None:
        """Write how far the ledger has come, as a batch that adds nothing."""
        self._write_delta([])

    def maintain(self) -> None:
        """Seal settled panes (all panes when the deltas have become many), and find what is garbage now."""
        many = len(self._deltas) > MOST_DELTAS
        for number, pane in self.ledger.panes.items():
            settled = self.ledger.is_settled(number)
            if pane.stale and (settled or many):
                self._seal(number, pack=settled)
            elif settled and pane.sealed and not pane.packed:
                self.ledger.seal(number, *pane.sealed, pack=True)
        self.ledger.forget_packed()
        self._find_garbage()

    def sweepable(self) -> int:
        """How much garbage can be swept once everything written so far is in the log, and still owned; see `sweep`."""
        if self._garbage and self._written != self._state():
            if len(self._garbage) == 1:
                return 0  # the delta that would have to be written first becomes garbage too: it would never end
            # Before the log loses anything it must say that the window has moved on and which deltas are left.
            self.write_state()
        return len(self._garbage)

    def sweep(self, count: int) -> None:
        """Delete the first `count` pieces of garbage: all that was garbage before the last confirmed write."""
        for key in self._garbage[:count]:
            self._put(key, None)
        del self._garbage[:count]

    def erase(self, users: Collection[str]) -> None:
        """Take some users out, as if nothing of them had been counted; only the hashes of their events stay.

        A crash between any two writes leaves some of it: to be done again until `ledger.erased` is set after it.
        """
        self.write_state()  # with a number of its own what is sealed now replaces every delta before
        self.ledger.take_out(users)
        for number, pane in self.ledger.panes.items():
            if pane.stale:
                self._seal(number, pack=self.ledger.is_settled(number), without=users)
        self.ledger.forget_packed()
        self.ledger.drop_dead_rows()
        self._find_garbage()
        self.write_state()  # says which deltas are left: even a single piece of garbage can be swept now

    def _restore(self, held: ReplayedLog) -> None:
        if held.header is None:
            return
        self.ledger.restore(held.header)
        for pane, (key, parts) in held.sealed.items():
            self.ledger.restore_sealed(pane, key, parts)
            if pane not in self.ledger.panes:
                self._garbage += _part_keys(key, len(parts))
        for key, parts in held.deltas.items():
            sealed = {pane for pane, (seal, _) in held.sealed.items() if seal.sequence >= key.sequence}
            self.ledger.restore_delta(parts, sealed)
            self._deltas[key.sequence] = (
                _part_keys(key, len(parts)),
                {pane for part in parts for pane in part.panes},
                sum(part.nbytes for part in parts),
            )
        # The owner before may still delete what it found to be garbage: no header of ours may say that it is needed.
        self._find_garbage()

    def _state(self) -> tuple[int, int]:
        """What the log must know before garbage is deleted: where the window ends, the oldest delta that is needed."""
        return self.ledger.horizon, min(self._deltas, default=self._sequence)

    def _seal(self, number: int, *, pack: bool, without: Collection[str] = ()) -> None:
        pane = self.ledger.panes[number]
        if pane.sealed:
            key, parts = pane.sealed
            self._garbage += _part_keys(key, len(parts))
        content = self.ledger.content(number, without)
        values = self._write("pane", number, [content])
        self.ledger.seal(number, self._key("pane", number, 0), list(map(segments.decode, values.values())), pack=pack)

    def _find_garbage(self) -> None:
        first = self.ledger.window.first_pane(self.ledger.horizon)
        panes = self.ledger.panes
        for sequence, (keys, touched, _) in list(self._deltas.items()):
            is_newest = sequence == self._sequence  # it says how far this ledger has counted
            if is_newest or not all(pane < first or _holds(panes[pane].sealed, sequence) for pane in touched):
                break  # from the oldest on none may be missing
            self._garbage += keys
            del self._deltas[sequence]
        for key, parts in self.ledger.take_expired_seals():
            self._garbage += _part_keys(key, parts)

    def _write_delta(self, added: list[PaneContent]) -> None:
        self._sequence += 1
        written = self._write("delta", 0, added)
        panes = {content.pane for content in added}
        self._deltas[self._sequence] = (list(written), panes, sum(map(len, written.values())))

    def _write(self, kind: Kind, pane: int, content: list[PaneContent]) -> dict[bytes, bytes]:
        self._written = self._state()
        header = self.ledger.header(self._written[1])
        parts = segments.encode(header, self.ledger.scopes.names(), self.ledger.users.names, content)
        written = {self._key(kind, pane, part).encode(): value for part, value in enumerate(parts)}
        for key, value in written.items():
            self._put(key, value)
        return written

    def _key(self, kind: Kind, pane: int, part: int) -> SegmentKey:
        return SegmentKey(self.partition, kind, pane, self.ownership.epoch, self._sequence, part)


def _part_keys(first: SegmentKey, parts: int) -> list[bytes]:
    return [first._replace(part=part).encode() for part in range(parts)]


def _holds(sealed: tuple[SegmentKey, list[segments.Segment]] | None, sequence: int) -> bool:
    return sealed is not None and sealed[0].sequence >= sequence
