"""Replay: sorts the stored segments of a partition into its history and garbage.

The problem: the changelog holds the writes of all owners of the partition, in any order of keys. A worker that was
frozen while another took over may still write. A worker that lost a write may have written more after it.

    owner A, epoch 5     ── 1 ── 2 ── 3 ──────(frozen)────── 4' ── 5'      never part of the history
    owner B, epoch 6               begins after 3 ── 4 ── 5 ── 6

Three rules decide. First, a segment counts if its owner wrote it before the next owner began: an epoch record lists the
owners in order, with the sequence at which each began (`OwnershipEpochs.accepts`). So 4' and 5' do not count. Second, a
segment counts only if all its parts are there. Third, the history ends at the first delta that is missing: a worker
deletes nothing after one of its writes failed, so everything before the gap is complete.

Epochs increase, and no two workers have the same one: an epoch contains the generation of the consumer group, in which
a partition has one owner. Change together: `ledger_store`, which writes in this order.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.header import FunnelProgress, Header
from stream_app.core.changelog.segments import VERSION, Segment, SegmentKey, decode
from stream_app.core.decoding import DECODE_ERRORS, are_numbers

BEFORE_PANES = -(2**58)
"""What is stored as a pane with a lower number is none, but of the signals: see `signal_log`."""
_GENERATION_BITS = 32
"""The lower bits of an epoch are the generation of the consumer group in which the ownership began. The upper bits
count how often Kafka has forgotten the group, which restarts its generations."""


class OwnershipEpochs(NamedTuple):
    """The owners of a partition in order: (epoch, sequence that the ledger had reached when the ownership began)."""

    epochs: tuple[tuple[int, int], ...] = ()

    def accepts(self, key: SegmentKey) -> bool:
        """Return whether a segment was written before the next owner had read the log.

        Writes of a frozen worker after a takeover have sequences beyond the one at which the new owner began.
        """
        begins = {owner: place for place, (owner, _) in enumerate(self.epochs)}
        place = begins.get(key.epoch)
        if place is None:
            return False
        return place + 1 == len(self.epochs) or key.sequence <= self.epochs[place + 1][1]

    def begin(self, generation: int, sequence: int, live_epochs: Iterable[int]) -> "OwnershipEpochs":
        """Add an ownership that continues after `sequence`. Drop older ones that have no live segments.

        Its epoch is higher than all before. An ownership that begins concurrently, unknown to this one, has another
        epoch, because a partition has one owner in a generation.
        """
        newest = self.epochs[-1][0] if self.epochs else 0
        forgotten, before = newest >> _GENERATION_BITS, newest & ((1 << _GENERATION_BITS) - 1)
        epoch = (forgotten + (generation <= before)) << _GENERATION_BITS | generation
        oldest = min(live_epochs, default=epoch)
        return OwnershipEpochs((*(entry for entry in self.epochs if entry[0] >= oldest), (epoch, sequence)))

    @property
    def epoch(self) -> int:
        """Epoch of the current ownership."""
        return self.epochs[-1][0]

    def encode(self) -> bytes:
        """Encode as the value of an epoch record."""
        return msgspec.msgpack.encode((VERSION, self.epochs))

    @classmethod
    def decode(cls, value: bytes) -> "OwnershipEpochs":
        """Decode the value of an epoch record. Raises FormatError for another version."""
        try:
            version, epochs = msgspec.msgpack.decode(value, type=tuple[int, tuple[tuple[int, int], ...]])
        except DECODE_ERRORS as error:
            raise FormatError(f"not an epoch record of version {VERSION}: {error}") from error
        if version != VERSION:
            raise FormatError(f"epoch record of version {version}, this release reads {VERSION}")
        if not all(map(are_numbers, epochs)):
            raise FormatError("an epoch record with numbers that no worker has written")
        return cls(epochs)


class ReplayedLog(NamedTuple):
    """The valid segments of a partition."""

    ownership: OwnershipEpochs
    sequence: int
    """Number of batches counted."""
    header: Header | None
    """State after the newest segment; None if nothing is stored."""
    deltas: dict[SegmentKey, list[Segment]]
    """What each batch added, by the key of its first part, oldest first."""
    sealed: dict[int, tuple[SegmentKey, list[Segment]]]
    """The newest sealed segment of each pane."""
    garbage: list[bytes]
    """Keys of parts that are superseded, incomplete, or written by a worker that had lost the partition."""
    decisions: Mapping[int, tuple[SegmentKey, list[Segment]]] = {}
    """Those of the funnel that are still needed, by number, oldest first."""

    @property
    def panes(self) -> dict[int, tuple[SegmentKey, list[Segment]]]:
        """The newest sealed segment of each pane."""
        return {pane: found for pane, found in self.sealed.items() if pane > BEFORE_PANES}

    @property
    def epochs(self) -> set[int]:
        """The epochs of ownership in which anything of it was written."""
        sealed = (*self.sealed.values(), *self.decisions.values())
        return {key.epoch for key in (*self.deltas, *(key for key, _ in sealed))}

    @property
    def event_key(self) -> int:
        """The secret of the hashes of events in the newest segment that has one; 0 if none has."""
        found = [*self.deltas.items(), *self.sealed.values()]
        newest_first = sorted(found, key=lambda item: item[0].sequence, reverse=True)
        return next((parts[0].header.event_key for _, parts in newest_first if parts[0].header.event_key), 0)


def replay(stored: Mapping[bytes, bytes], partition: int) -> ReplayedLog:
    """Find the valid segments of `partition` in `stored`, whose order does not matter."""
    keys = {key: parsed for key in stored if (parsed := SegmentKey.decode(key)).partition == partition}
    epochs = {parsed: key for key, parsed in keys.items() if parsed.kind == "epoch"}
    newest = max(epochs, key=lambda parsed: parsed.epoch, default=None)
    ownership = OwnershipEpochs.decode(stored[epochs[newest]]) if newest else OwnershipEpochs()
    complete = _without_holes(_complete(stored, keys, ownership))
    sealed = {p.pane: p for p in sorted(complete, key=lambda p: (p.sequence, p.epoch)) if p.kind == "pane"}
    deltas = sorted((p for p in complete if p.kind == "delta"), key=lambda p: p.sequence)
    kept = {*deltas, *sealed.values()}
    last = max(kept, key=lambda p: (p.sequence, complete[p][0].header.horizon), default=None)
    decisions = _decisions(complete, last)
    kept |= {*decisions.values()}
    return ReplayedLog(
        ownership=ownership,
        sequence=last.sequence if last else 0,
        header=complete[last][0].header if last else None,
        deltas={p: complete[p] for p in deltas},
        sealed={pane: (p, complete[p]) for pane, p in sealed.items()},
        decisions={number: (p, complete[p]) for number, p in decisions.items()},
        garbage=[key for key, p in keys.items() if p != newest and p._replace(part=0) not in kept],
    )


def _complete(
    stored: Mapping[bytes, bytes], keys: Mapping[bytes, SegmentKey], ownership: OwnershipEpochs
) -> dict[SegmentKey, list[Segment]]:
    """Return the accepted segments that have all their parts, by the key of the first part."""
    together: dict[SegmentKey, list[Segment]] = {}
    for key, parsed in sorted(keys.items(), key=lambda item: item[1].part):
        if parsed.kind != "epoch" and ownership.accepts(parsed):
            together.setdefault(parsed._replace(part=0), []).append(decode(stored[key]))
    return {first: parts for first, parts in together.items() if len(parts) == parts[0].parts}


def _without_holes(complete: dict[SegmentKey, list[Segment]]) -> dict[SegmentKey, list[Segment]]:
    """Return the history up to the first missing delta or decision, which is a write that was lost.

    A worker deletes nothing after one of its writes failed, so everything before the gap is complete.
    """
    held = {key.sequence: parts[0].header for key, parts in complete.items() if key.kind == "delta"}
    newest = max(complete, key=lambda key: key.sequence, default=None)
    if newest is None:
        return complete
    oldest = max(parts[0].header.oldest for key, parts in complete.items() if key.sequence == newest.sequence)
    needed = range(oldest, newest.sequence + 1)
    hole = next((sequence for sequence in needed if sequence not in held), newest.sequence + 1)
    begins = _funnel_begins(complete, hole)
    made = {key.pane for key in complete if key.kind == "funnel" and begins <= key.sequence < hole}
    known = {sequence: header.funnel for sequence, header in held.items() if begins <= sequence < hole}
    progress = max(known.values(), default=FunnelProgress())
    lost = next((number for number in range(progress.oldest, progress.newest + 1) if number not in made), None)
    if lost is not None:  # each delta from the one that was written with it knows of it
        hole = min(sequence for sequence, funnel in known.items() if funnel.newest >= lost)
    return {key: parts for key, parts in complete.items() if key.sequence < hole}


def _funnel_begins(complete: Mapping[SegmentKey, list[Segment]], end: int) -> int:
    """Return the sequence from which on the funnel goes on without a break.

    An owner of a release before 0.4 knows no funnel: its deltas say nothing of it, and it deletes the decisions. After
    it the funnel begins anew.
    """
    without = (
        key.sequence
        for key, parts in complete.items()
        if key.kind == "delta" and key.sequence < end and not parts[0].header.funnel.newest
    )
    return max(without, default=-1) + 1


def _decisions(complete: dict[SegmentKey, list[Segment]], last: SegmentKey | None) -> dict[int, SegmentKey]:
    """Return the decisions of the funnel that are needed after the `last` segment, by number."""
    if last is None:
        return {}
    progress = complete[last][0].header.funnel
    needed = range(progress.oldest, progress.newest + 1)
    begins = _funnel_begins(complete, last.sequence + 1)
    made = [key for key in complete if key.kind == "funnel" and key.pane in needed and key.sequence >= begins]
    return {key.pane: key for key in sorted(made, key=lambda key: key.pane)}
