"""Replay: which of the stored segments of a partition are its history, and which are garbage.

The problem: the changelog holds what every owner of the partition has written, in any order of keys. A worker that was
frozen while another took over may still write; a worker whose write was lost may have written more after it.

    owner A, epoch 5     ── 1 ── 2 ── 3 ──────(frozen)────── 4' ── 5'      never part of the history
    owner B, epoch 6               begins after 3 ── 4 ── 5 ── 6

Three rules decide. An epoch record lists the owners in order with the sequence at which each began: a segment counts if
its owner wrote it before the next owner began (`OwnershipEpochs.accepts`), so 4' and 5' do not. A segment counts only
with all its parts. And the history ends at the first delta that should be there and is not: a worker deletes nothing
after a write of its own failed, so what precedes the hole is complete.

An epoch is above all before it, and two workers never have the same: it contains the generation of the consumer group,
in which a partition has one owner. Change together: `ledger_store`, which writes in this order.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.segments import VERSION, Header, Segment, SegmentKey, decode

_GENERATION_BITS = 32
"""The lower part of an epoch: the generation of the consumer group in which the ownership began. The upper part counts
how often Kafka has forgotten the group, which then begins to count generations anew."""


class OwnershipEpochs(NamedTuple):
    """Who owned a partition, in order: (epoch, sequence the ledger had reached when that ownership began)."""

    epochs: tuple[tuple[int, int], ...] = ()

    def accepts(self, key: SegmentKey) -> bool:
        """Whether a segment was written by an owner before the next owner had read the log.

        What a frozen worker writes after another took over lies beyond the point where the new owner began.
        """
        begins = {owner: place for place, (owner, _) in enumerate(self.epochs)}
        place = begins.get(key.epoch)
        if place is None:
            return False
        return place + 1 == len(self.epochs) or key.sequence <= self.epochs[place + 1][1]

    def begin(self, generation: int, sequence: int, live_epochs: Iterable[int]) -> "OwnershipEpochs":
        """A new ownership that continues after `sequence`; older ones are kept while segments of theirs live.

        Its epoch is above all before. Another that begins at the same time, unknown to this one, has another epoch,
        because in one generation a partition has one owner.
        """
        newest = self.epochs[-1][0] if self.epochs else 0
        forgotten, before = newest >> _GENERATION_BITS, newest & ((1 << _GENERATION_BITS) - 1)
        epoch = (forgotten + (generation <= before)) << _GENERATION_BITS | generation
        oldest = min(live_epochs, default=epoch)
        return OwnershipEpochs((*(entry for entry in self.epochs if entry[0] >= oldest), (epoch, sequence)))

    @property
    def epoch(self) -> int:
        """The present ownership."""
        return self.epochs[-1][0]

    def encode(self) -> bytes:
        """As the value of an epoch record."""
        return msgspec.msgpack.encode((VERSION, self.epochs))

    @classmethod
    def decode(cls, value: bytes) -> "OwnershipEpochs":
        """From the value of an epoch record; FormatError when it is of another version."""
        try:
            version, epochs = msgspec.msgpack.decode(value, type=tuple[int, tuple[tuple[int, int], ...]])
        except msgspec.DecodeError as error:
            raise FormatError(f"not an epoch record of version {VERSION}: {error}") from error
        if version != VERSION:
            raise FormatError(f"epoch record of version {version}, this release reads {VERSION}")
        return cls(epochs)


class ReplayedLog(NamedTuple):
    """The valid segments of a partition."""

    ownership: OwnershipEpochs
    sequence: int
    """Batches counted."""
    header: Header | None
    """State after the newest segment; None where nothing is stored."""
    deltas: dict[SegmentKey, list[Segment]]
    """What each batch added, by the key of its first part, oldest first."""
    sealed: dict[int, tuple[SegmentKey, list[Segment]]]
    """The newest sealed segment of each pane."""
    garbage: list[bytes]
    """Keys of what is superseded, half written, or written by a worker that had lost the partition."""


def replay(stored: Mapping[bytes, bytes], partition: int) -> ReplayedLog:
    """Sort out what is stored for `partition`; the order of `stored` does not matter."""
    keys = {key: parsed for key in stored if (parsed := SegmentKey.decode(key)).partition == partition}
    epochs = {parsed: key for key, parsed in keys.items() if parsed.kind == "epoch"}
    newest = max(epochs, key=lambda parsed: parsed.epoch, default=None)
    ownership = OwnershipEpochs.decode(stored[epochs[newest]]) if newest else OwnershipEpochs()
    whole = _without_holes(_whole(stored, keys, ownership))
    sealed = {p.pane: p for p in sorted(whole, key=lambda p: (p.sequence, p.epoch)) if p.kind == "pane"}
    deltas = sorted((p for p in whole if p.kind == "delta"), key=lambda p: p.sequence)
    kept = {*deltas, *sealed.values()}
    last = max(kept, key=lambda p: (p.sequence, whole[p][0].header.horizon), default=None)
    return ReplayedLog(
        ownership=ownership,
        sequence=last.sequence if last else 0,
        header=whole[last][0].header if last else None,
        deltas={p: whole[p] for p in deltas},
        sealed={pane: (p, whole[p]) for pane, p in sealed.items()},
        garbage=[key for key, p in keys.items() if p != newest and p._replace(part=0) not in kept],
    )


def _whole(
    stored: Mapping[bytes, bytes], keys: Mapping[bytes, SegmentKey], ownership: OwnershipEpochs
) -> dict[SegmentKey, list[Segment]]:
    """The segments that belong to the history and have all their parts, by the key of the first part."""
    together: dict[SegmentKey, list[Segment]] = {}
    for key, parsed in sorted(keys.items(), key=lambda item: item[1].part):
        if parsed.kind != "epoch" and ownership.accepts(parsed):
            together.setdefault(parsed._replace(part=0), []).append(decode(stored[key]))
    return {first: parts for first, parts in together.items() if len(parts) == parts[0].parts}


def _without_holes(whole: dict[SegmentKey, list[Segment]]) -> dict[SegmentKey, list[Segment]]:
    """The history up to the first delta that should be there and is not: a write that was lost ends it.

    A worker deletes nothing after a write of its own failed, so what precedes the hole is complete.
    """
    held = {key.sequence for key in whole if key.kind == "delta"}
    newest = max(whole, key=lambda key: key.sequence, default=None)
    if newest is None:
        return whole
    oldest = max(parts[0].header.oldest for key, parts in whole.items() if key.sequence == newest.sequence)
    needed = range(oldest, newest.sequence + 1)
    hole = next((sequence for sequence in needed if sequence not in held), None)
    if hole is None:
        return whole
    return {key: parts for key, parts in whole.items() if key.sequence < hole}
