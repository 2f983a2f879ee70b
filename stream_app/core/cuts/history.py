"""The history of cuts: every cut as of the end of each pane in the window, kept in its stored format.

A record holds the cuts of one home at the end of one pane. A record with the same key replaces it. That is harmless:
two workers that both think they own the home write the same cuts.
"""

import re
from collections.abc import Iterable, Iterator
from heapq import nlargest
from math import isfinite
from operator import attrgetter
from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS, LARGEST, are_numbers
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.messages import Cut, Role
from stream_app.core.state.scopes import ScopeName

VERSION = 1
MOST_PER_HOME = 1024
"""Cuts kept per home, those with the most users. This bounds memory however many topics there are …"""
MOST_BYTES = 400_000
"""… and however long their names are."""


class PastCut(msgspec.Struct, array_like=True):
    """A cut as of the end of a pane."""

    topic: str
    population: str
    role: Role
    users: int
    total: int
    k: int
    threshold: int
    coverage: float
    gini: float
    flagged: int
    emerging: int
    k_low: int = 0
    """0, like the other three, where no interval is known: in records of releases that computed none."""
    k_high: int = 0
    threshold_low: int = 0
    threshold_high: int = 0


class _PastRecord(msgspec.Struct, array_like=True):
    version: int
    cuts: list[PastCut]


class PastKey(NamedTuple):
    """The key of a record: a home, and the pane at whose end the cuts were taken."""

    home: int
    pane: int

    def encode(self) -> bytes:
        """Encode as the key of a record."""
        return f"past/{self.home}/{self.pane}".encode()

    @classmethod
    def decode(cls, key: bytes) -> "PastKey":
        """Decode the key of a record. Raises FormatError if it is none."""
        found = _KEY.fullmatch(key)
        if found is None:
            raise FormatError(f"{key[:100]!r} is not the key of past cuts")
        return cls(int(found[1]), int(found[2]))


_KEY = re.compile(rb"past/([0-9]{1,6})/(-?[0-9]{1,15})")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_PastRecord)


def encode(cuts: Iterable[Cut], most_bytes: int = MOST_BYTES) -> bytes:
    """Encode the cuts of a home as the value of a record: those with the most users, as many as fit."""
    kept = list(map(_past, nlargest(MOST_PER_HOME, cuts, key=attrgetter("users"))))
    value = _ENCODER.encode(_PastRecord(VERSION, kept))
    while len(value) > most_bytes and kept:
        kept = kept[: len(kept) * most_bytes // len(value)]
        value = _ENCODER.encode(_PastRecord(VERSION, kept))
    return value


class CutHistory:
    """The history of all cuts, from the records received so far."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._records: dict[PastKey, bytes] = {}

    def update(self, key: bytes, value: bytes, last_pane: int = LARGEST) -> None:
        """Apply one record; an empty value deletes it. Raises FormatError, also for panes after `last_pane`."""
        if value:
            ended = PastKey.decode(key)
            if ended.pane > last_pane:
                raise FormatError(f"{key!r} is of a pane that has not begun")
            self._records[ended] = value
        else:
            self._records.pop(PastKey.decode(key), None)

    def of(self, scope: ScopeName, role: Role, first_pane: int) -> Iterator[tuple[int, PastCut]]:
        """Yield (pane, cut at its end) from `first_pane` on, oldest first."""
        home = home_of(scope, self._partitions)
        for ended in sorted(ended for ended in self._records if ended.home == home and ended.pane >= first_pane):
            for cut in self._cuts(ended):
                if cut.role == role and (cut.population, cut.topic) == scope:
                    yield ended.pane, cut

    def before(self, first_pane: int) -> list[PastKey]:
        """Return the keys of records older than `first_pane`."""
        return [ended for ended in self._records if ended.pane < first_pane]

    def _cuts(self, ended: PastKey) -> list[PastCut]:
        """Decode a record. Returns nothing for one of another release, which is no reason to end a worker."""
        try:
            record = _DECODER.decode(self._records[ended])
        except DECODE_ERRORS:
            return []
        if record.version != VERSION:
            return []
        return [cut for cut in record.cuts[:MOST_PER_HOME] if _is_sound(cut)]


def _is_sound(cut: PastCut) -> bool:
    counts = (cut.users, cut.total, cut.k, cut.threshold, cut.flagged, cut.emerging)
    bounds = (cut.k_low, cut.k_high, cut.threshold_low, cut.threshold_high)
    return are_numbers(counts + bounds) and isfinite(cut.coverage) and isfinite(cut.gini)


def _past(cut: Cut) -> PastCut:
    return PastCut(
        cut.topic,
        cut.population,
        cut.role,
        *(cut.users, cut.total, cut.k, cut.threshold, cut.coverage, cut.gini, cut.flagged, cut.emerging),
        *(bound or 0 for bound in (cut.k_low, cut.k_high, cut.threshold_low, cut.threshold_high)),
    )
