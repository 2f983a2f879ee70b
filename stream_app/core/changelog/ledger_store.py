"""The ledger store of one partition: its ledger, and the segments that make it durable.

The problem: counts must survive a crash between any two writes, and no batch may be lost or counted twice, without
transactions. The changelog is compacted: it keeps the last value of every key.
See docs/reliability.md#fault-double-count and docs/reliability.md#fault-windowed-tables.

The invariant: counts and positions are written in one record. A batch becomes one *delta* segment, which holds what the
batch added and the position of every source after it. After a crash the ledger is replayed from the segments and each
source resumes at the position stored there. So a batch and its position are in the changelog together, or neither is.

    count      delta 7 │ delta 8 │ delta 9 │            one per batch, numbered by `sequence`
    maintain           │         │         │ pane 41@9  all of pane 41 up to sequence 9: it supersedes its deltas
    sweep      ✕ 7     │ ✕ 8     │         │            garbage is deleted; 9 stays, because it holds the position

1. Count: a batch becomes one delta. Its sequence is the last one plus one.
2. Seal: the whole content of a pane is written as one segment, with the sequence it includes. From then on a replay
   reads the pane from this segment, and ignores the pane in all deltas up to that sequence.
   Panes that only retractions change are not written again: one delta carries on what deltas before it say of them.
3. The funnel: a delta also has what it needs. Its decisions and chunks are segments too: see core/funnel/stored.
4. Sweep: superseded segments are garbage. They are deleted only after two conditions hold. The group has confirmed that
   this worker still owned the partition when the seal was in the changelog. And the changelog says which deltas are
   still needed; otherwise a replay could not distinguish a deleted delta from a lost one.

A new owner first writes an epoch record with the sequence up to which it has read. Segments that a former owner, frozen
meanwhile, writes beyond that sequence are ignored (see `replay`). Change together: `segments` (the format), `replay`
(which segments count), and the simulation, which crashes between any two of these steps.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from stream_app.core.arrays import Mask
from stream_app.core.changelog import segments
from stream_app.core.changelog.content.pane_content import PaneContent
from stream_app.core.changelog.deltas import Deltas
from stream_app.core.changelog.replay import ReplayedLog, replay
from stream_app.core.changelog.segments import Kind, SegmentKey
from stream_app.core.events.credit import Credits
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored.counted_credits import counted_credits
from stream_app.core.funnel.stored.funnel_log import FunnelLog
from stream_app.core.funnel.stored.stored_funnel import StoredFunnel, StoredFunnelSettings
from stream_app.core.retractions.taking_back import LookedUp, take_back
from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.stored.signal_log import SignalLog, StoredValues
from stream_app.core.signals.stored.step_log import ReadSteps
from stream_app.core.state.applied import Applied
from stream_app.core.state.ledger import Ledger

Put = Callable[[bytes, bytes | None], None]
"""Writes a value under a key, or deletes the key (None)."""

MOST_DELTAS = 256
"""With more deltas than this, panes are sealed even though they are still open."""


class LedgerStore:
    """Counts batches into the ledger and writes them to the changelog."""

    def __init__(
        self,
        partition: int,
        ledger: Ledger,
        stored: Mapping[bytes, bytes],
        put: Put,
        most_bytes: Callable[[], int] = lambda: segments.MOST_BYTES,
        funnel: StoredFunnelSettings | None = None,
    ) -> None:
        """Replay the changelog of `partition` (`stored`) into an empty `ledger`. Call `begin` before counting.

        `funnel`: None for a store that has none.
        `most_bytes`: the size of the largest value that may be put. Raises FormatError for segments of another release.
        """
        self.partition, self.ledger = partition, ledger
        self.signals = SignalLog(partition, funnel.partitions if funnel else 1)
        self._put, self._most_bytes = put, most_bytes
        held = replay(stored, partition)
        self._sequence = held.sequence
        self._deltas = Deltas()
        self._garbage = list(held.garbage)
        self._written = (0, 0)  # in the newest header in the log, see `_state`
        self._funnel_log: FunnelLog | None = None
        self._restore(held)
        if funnel is not None:
            log = (held, self._write_funnel, self.write_state, lambda: self._sequence + 1)
            self._funnel_log = FunnelLog(StoredFunnel(funnel, ledger.event_key, partition), *log)
            self.signals.credited = self._funnel_log.funnel.credited
        self._find_garbage()  # which the former owner may still delete: no header of ours may say that it is needed
        self._live_epochs, self.ownership = held.epochs, held.ownership

    def begin(self, generation: int) -> None:
        """Begin a new ownership: in `generation` of the consumer group this worker was assigned the partition."""
        self.ownership = self.ownership.begin(generation, self._sequence, self._live_epochs)
        self._put(self._key("epoch", 0, self._sequence).encode(), self.ownership.encode())

    @property
    def funnel(self) -> StoredFunnel | None:
        """The funnel, if it has one."""
        return self._funnel_log.funnel if self._funnel_log is not None else None

    @property
    def sequence(self) -> int:
        """Number of batches counted."""
        return self._sequence

    @property
    def segment_count(self) -> int:
        """Number of segments in the log that are not garbage."""
        return len(self._deltas) + sum(pane.sealed is not None for pane in self.ledger.panes.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes of the segments in the log that are not garbage; of these, panes and chunks are in memory too."""
        sealed = sum(pane.stored_bytes for pane in self.ledger.panes.values())
        return sealed + self._deltas.stored_bytes + self.signals.stored_bytes

    def count(
        self, topic: str, position: int, batch: Credits, late: Mask, rejected: int, own: OwnEvents | None = None
    ) -> Applied:
        """Count a batch and write its delta, without awaiting in between, so that later writes include the batch.

        `own`: the events of the batch as the signals see them, if they are to.
        """
        applied = self.ledger.apply(topic, position, batch, late, rejected)
        added = self.funnel.add(self._sequence + 1, batch, applied.counted) if self.funnel else b""
        looked_at = self.signals.take(own, applied.counted, self._sequence + 1, self._most_bytes() // 2) if own else []
        self.signals.advance(self.ledger.horizon)
        self._write_delta(applied.content, added, looked_at)
        return applied

    def receive(
        self, topic: str, position: int, new: InfluenceCredits, late: Mask, rejected: int, read: ReadSteps | None = None
    ) -> Applied:
        """Count credits for what others did, like `count`; `read`: what came with them for the signals."""
        applied = self.ledger.apply(topic, position, counted_credits(new), late, rejected, moves_window=False)
        received = self.funnel.receive(self._sequence + 1, new.at(applied.counted)) if self.funnel else b""
        of_signals = (applied.counted, read, self._sequence + 1, self._most_bytes() // 2)
        self._write_delta(applied.content, received, self.signals.receive(new, *of_signals))
        return applied

    def decide(self, until_ms: int) -> None:
        """Have the funnel decide what came before a time; its packets may be sent once the log has all of it."""
        if self._funnel_log is not None:
            self._funnel_log.decide(until_ms, early=len(self._deltas) > MOST_DELTAS)

    def take_back(
        self, topic: str, position: int, looked_up: LookedUp, rejected: int = 0, applied_besides: int = 0
    ) -> Applied:
        """Take events back and write the delta of it, like `count`."""
        applied = take_back(self.ledger, topic, position, looked_up, rejected, applied_besides)
        counted = looked_up.counted(~applied.duplicate)
        self._write_delta(applied.content, self.funnel.take_back(self._sequence + 1, counted) if self.funnel else b"")
        return applied

    def write_state(self) -> None:
        """Write the state of the ledger, as the delta of an empty batch."""
        self._write_delta([])

    def maintain(self) -> None:
        """Seal settled panes (all panes if there are many deltas) and collect the new garbage."""
        many, sealed = len(self._deltas) > MOST_DELTAS, False
        for number, pane in self.ledger.panes.items():
            if pane.packed and not pane.stale:
                continue  # most of them
            settled = self.ledger.is_settled(number)
            if pane.stale and (many or settled) and not self.ledger.is_patched(number):
                self._seal(number, pack=settled)
                sealed = True
            elif settled and pane.sealed and not pane.packed:
                self.ledger.seal(number, *pane.sealed, pack=True)
        patched = frozenset(number for number in self.ledger.panes if many and self.ledger.is_patched(number))
        if patched and not self._deltas.is_carried(patched):
            self._deltas.carry(self._sequence + 1, patched)
            self._write_delta([self.ledger.patches(number) for number in patched])
        self.signals.advance(self.ledger.horizon)
        self._write_signals(self.signals.due(self._most_bytes() // 2, is_sealing=sealed))
        if self._funnel_log:
            self._funnel_log.keep(is_sealing=sealed)
        self.ledger.forget_packed()
        self._find_garbage()

    def sweepable(self) -> int:
        """Return how much garbage may be swept once all writes so far are in the log and ownership is confirmed.

        May write the state first, if the log has to know it before the sweep.
        """
        if self._garbage and self._written != self._state():
            if len(self._garbage) == 1:
                return 0  # sweeping would first write a delta, which becomes garbage in turn: this would never end
            # Before anything is deleted, the log must say where the window ends and which deltas are left.
            self.write_state()
        return len(self._garbage)

    def sweep(self, count: int) -> None:
        """Delete the first `count` pieces of garbage, as returned by `sweepable` before the confirmed write."""
        for key in self._garbage[:count]:
            self._put(key, None)
        del self._garbage[:count]

    def erase(self, users: Collection[str]) -> None:
        """Remove `users` as if they had never been counted. Only the hashes of their events stay.

        A crash between two writes leaves it half done. It is repeated until `ledger.erased` is set after it.
        """
        if self._funnel_log is not None:
            self._funnel_log.take_out(users, self.ledger.horizon)
        self.write_state()  # takes a new sequence, so that the seals below supersede every delta before them
        self.ledger.take_out(users)
        self.signals.erase(users, self.ledger.event_key)
        self._write_signals(self.signals.snapshot(self._most_bytes() // 2))
        for number, pane in self.ledger.panes.items():
            if pane.stale:
                self._seal(number, pack=self.ledger.is_settled(number), without=users)
        self.ledger.forget_packed()
        self.ledger.drop_rows(self.ledger.rows.dead())
        self._find_garbage()
        self.write_state()  # says which deltas are left, so that even a single piece of garbage can be swept

    def _restore(self, held: ReplayedLog) -> None:
        if held.header is None:
            return
        self.ledger.restore(held.header)
        if not held.header.event_key:  # written by 0.2; older segments may be of this release
            self.ledger.event_key = held.event_key or self.ledger.event_key
        self._garbage += self.signals.restore(held, held.header.horizon)
        for pane, (key, parts) in held.panes.items():
            self.ledger.restore_sealed(pane, key, parts)
            if pane not in self.ledger.panes:
                self._garbage += key.parts(len(parts))
        self._deltas.restore(held, held.header.carried)
        for key, parts in held.deltas.items():
            sealed = {pane for pane, (seal, _) in held.panes.items() if seal.sequence >= key.sequence}
            self.ledger.restore_delta(parts, sealed | self._deltas.carried_at(key.sequence))

    def _state(self) -> tuple[int, int]:
        """Return what the log must say before garbage is deleted: the end of the window, the oldest needed delta."""
        return self.ledger.horizon, self._deltas.oldest(self._sequence)

    def _seal(self, number: int, *, pack: bool, without: Collection[str] = ()) -> None:
        pane = self.ledger.panes[number]
        if pane.sealed:
            key, parts = pane.sealed
            self._garbage += key.parts(len(parts))
        content = self.ledger.content(number, without)
        values = self._write("pane", number, [content])
        key = self._key("pane", number, self._sequence)
        self.ledger.seal(number, key, list(map(segments.decode, values.values())), pack=pack)

    def _find_garbage(self) -> None:
        self._garbage += self._deltas.take_superseded(self._is_needed)
        for key, parts in self.ledger.take_expired_seals():
            self._garbage += key.parts(parts)
        self._garbage += self._funnel_log.take_garbage() if self._funnel_log else []

    def _is_needed(self, sequence: int, panes: frozenset[int]) -> bool:
        """Return whether anything of a delta is nowhere else: the newest holds the positions."""
        of_funnel = self.funnel is not None and self.funnel.is_needed(sequence)
        if sequence == self._sequence or of_funnel or self.signals.holds_alone(sequence):
            return True
        first = self.ledger.window.first_pane(self.ledger.horizon)
        left = panes - self._deltas.carried_at(sequence)
        return not all(pane < first or self.ledger.panes[pane].holds(sequence) for pane in left)

    def _write_funnel(self, kind: Kind, number: int, value: bytes) -> dict[bytes, bytes]:
        return self._write(kind, number, [], value, sequence=self._sequence + (kind == "funnel"))

    def _write_signals(self, due: StoredValues | None) -> None:
        if due is not None:
            written = self._write("pane", due.number, [], looked_at=due.values)
            self._garbage += self.signals.written(due.number, self._sequence, written)

    def _write_delta(self, added: list[PaneContent], funnel: bytes = b"", looked_at: Sequence[bytes] = ()) -> None:
        self._sequence += 1
        written = self._write("delta", 0, added, funnel, looked_at)
        self._deltas.add(self._sequence, frozenset(content.pane for content in added), written)

    def _write(
        self,
        kind: Kind,
        pane: int,
        content: list[PaneContent],
        funnel: bytes = b"",
        looked_at: Sequence[bytes] = (),
        sequence: int = 0,
    ) -> dict[bytes, bytes]:
        self._written = self._state()
        header = self.ledger.header(self._written[1], self._deltas.carried)
        if self.funnel is not None:
            header.funnel = self.funnel.progress
        parts = segments.encode(
            *(header, self.ledger.scopes.names(), self.ledger.users.names, content, self._most_bytes()),
            *(funnel, looked_at),
        )
        key = self._key(kind, pane, sequence or self._sequence)
        written = {key._replace(part=part).encode(): value for part, value in enumerate(parts)}
        for part, value in written.items():
            self._put(part, value)
        return written

    def _key(self, kind: Kind, pane: int, sequence: int) -> SegmentKey:
        return SegmentKey(self.partition, kind, pane, self.ownership.epoch, sequence, 0)
