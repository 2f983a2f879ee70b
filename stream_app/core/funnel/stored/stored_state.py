"""The stored state of a funnel: all that it holds, or what a decision changed, as bytes."""

import msgspec
import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import Column, FormatError, pack, pack_signed, unpack, unpack_signed
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.episodes.episode_records import EPISODE, ERASED, SHARED, Episodes
from stream_app.core.funnel.episodes.episode_table import EpisodesOfKeys
from stream_app.core.funnel.funnel_counts import MEASURES
from stream_app.core.funnel.funnel_state import FunnelState
from stream_app.core.funnel.scope_cells import CellCounts
from stream_app.core.funnel.stored.stored_times import Times, pack_keys, pack_times, unpack_hashes, unpack_keys
from stream_app.core.state.scopes import ScopeName


class _StoredEpisodes(msgspec.Struct, array_like=True):
    """Episodes by key."""

    key: Column
    known: Column
    revision: Column
    sizes: Column
    """Episodes of each key."""
    first_ms: Times
    lasted_ms: Column
    order: Column
    credited: Column
    """From ERASED on."""
    impressions: Column
    """Of shares; empty for entries."""


class _StoredCells(msgspec.Struct, array_like=True):
    pane: Times
    scope: Column
    counts: list[Column]


class _StoredState(msgspec.Struct, array_like=True):
    scopes: list[ScopeName]
    people: list[str]
    entries: _StoredEpisodes
    shares: _StoredEpisodes
    counts: _StoredCells
    newcomers: _StoredCells
    decided_ms: int
    known: Column
    known_ms: Times
    start_ms: int
    before_window: tuple[tuple[Column, Times], tuple[Column, Times]]
    """Keys and times, of entries and of shares."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_StoredState)


def encode(state: FunnelState) -> bytes:
    """Encode a state; of its scopes and people only those that occur in it."""
    own = state.with_own_numbers()
    return _ENCODER.encode(
        _StoredState(
            [*own.scopes],
            [*own.people],
            *(_packed_episodes(own.entries), _packed_episodes(own.shares)),
            *(_packed_cells(own.counts), _packed_cells(own.newcomers)),
            own.decided_ms,
            pack_keys(own.known[0]),
            pack_times(own.known[1]),
            own.start_ms,
            (_packed_times(*own.before_window[0]), _packed_times(*own.before_window[1])),
        )
    )


def decode(value: bytes | msgspec.Raw) -> FunnelState:
    """Decode a state, with numbers of its own. Raises FormatError."""
    try:
        stored = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not the state of a funnel: {error}") from error
    return FunnelState(
        *(stored.scopes, stored.people),
        *(_episodes(stored.entries, EPISODE), _episodes(stored.shares, SHARED)),
        *(_cells(stored.counts, len(MEASURES)), _cells(stored.newcomers, 1)),
        stored.decided_ms,
        (unpack_keys(stored.known), stored.known_ms.unpacked()),
        stored.start_ms,
        (_times(*stored.before_window[0]), _times(*stored.before_window[1])),
    )


def _packed_times(keys: Ints, times_ms: Ints) -> tuple[Column, Times]:
    return pack_keys(keys), pack_times(times_ms)


def _times(keys: Column, times_ms: Times) -> tuple[Ints, Ints]:
    return unpack_keys(keys), times_ms.unpacked()


def _packed_episodes(held: EpisodesOfKeys) -> _StoredEpisodes:
    groups, records = held.episodes
    impressions = records["impressions"] if "impressions" in (records.dtype.names or ()) else np.empty(0, np.int64)
    return _StoredEpisodes(
        pack_keys(held.keys),
        pack(held.known.astype(np.uint8)),
        pack(held.revisions),
        pack(np.bincount(groups, minlength=len(held.keys))),
        pack_times(records["first_ms"]),
        pack(records["last_ms"] - records["first_ms"]),
        pack(records["order"]),
        pack(records["credited"].astype(np.int64) - ERASED),
        pack(impressions),
    )


def _episodes(stored: _StoredEpisodes, dtype: "np.dtype[np.void]") -> EpisodesOfKeys:
    keys, sizes = unpack_keys(stored.key), unpack(stored.sizes).astype(np.int64)
    records = np.zeros(int(sizes.sum()), dtype)
    records["first_ms"] = stored.first_ms.unpacked()
    records["last_ms"] = records["first_ms"] + unpack(stored.lasted_ms).astype(np.int64)
    records["order"] = unpack_hashes(stored.order)
    records["credited"] = unpack(stored.credited).astype(np.int64) + ERASED
    if "impressions" in (dtype.names or ()):
        records["impressions"] = unpack(stored.impressions)
    groups: Ints = np.repeat(np.arange(len(keys)), sizes)
    known, revisions = unpack(stored.known).astype(np.bool_), unpack(stored.revision).astype(np.int64)
    return EpisodesOfKeys(keys, Episodes(groups, records), known, revisions)


def _packed_cells(cells: CellCounts) -> _StoredCells:
    return _StoredCells(pack_times(cells.panes), pack(cells.scopes), list(map(pack_signed, cells.counts)))


def _cells(stored: _StoredCells, measures: int) -> CellCounts:
    scopes = unpack(stored.scope).astype(np.int64)
    counts = np.array([unpack_signed(column) for column in stored.counts], np.int64).reshape(measures, len(scopes))
    return CellCounts(stored.pane.unpacked(), scopes, counts)
