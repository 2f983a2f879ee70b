"""Step evidence: of each sharer, how many shares were in step with others, and how many would be by chance.

A share is a trial with a probability of its own (`synchrony.py`). Of n of them, Σp are in step by chance, give or take
√Σp(1 − p); and the pace from which p follows may be wrong in all of them alike, by `pace_error`:

    z = (f − Σp) / √(Σp(1 − p) + (pace_error · Σp)²)

So z is never above (f/Σp − 1) / pace_error, however many trials there are: who shares a thousand fast posts is not
marked for sharing a tenth more in step than expected.

The evidence is kept beyond the window. A pod does not act every day, and no post alone says anything: a person is
marked for several. Only sums are kept; they add up in any order, so evidence of all partitions is merged by adding.
"""

from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.signals.facts import Signal, SignalValues, quotient
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.stored.stored_arrays import StoredArray, grown, stored, unstored
from stream_app.core.signals.synchrony import MILLION, Trials
from stream_app.core.state.watermark import NO_TIME

_TRIALS, _IN_STEP, _EXPECTED, _VARIANCE = range(4)
_KEPT = 0.75
"""The part that is kept when there is no more room."""


class SharerSteps(NamedTuple):
    """Trials of some sharers, added up: columns of equal length."""

    sharers: Hashes
    trials: Ints
    in_step: Ints
    expected: Ints
    """In millionths, like the next."""
    variance: Ints
    last_ms: Ints
    """Time of the last of them."""


def added_up(trials: Trials) -> SharerSteps:
    """Add up the trials of each sharer."""
    sharers, rows = np.unique(trials.sharers, return_inverse=True)
    last_ms = np.full(len(sharers), NO_TIME)
    np.maximum.at(last_ms, rows, trials.ts_ms)
    sums = np.zeros((4, len(sharers)), np.int64)
    for total, column in zip(sums, (np.ones_like(rows), *trials[2:5]), strict=True):
        np.add.at(total, rows, column)
    return SharerSteps._make((sharers, *sums, last_ms))


class StoredEvidence(msgspec.Struct, array_like=True):
    """Evidence as it is stored."""

    sharers: StoredArray
    sums: list[StoredArray]
    last_ms: StoredArray


class StepEvidence:
    """The trials of the sharers of one partition, added up."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self._limits = limits
        self._index = HashIndex()
        self._sums = np.zeros((0, 4), np.int64)
        self._last_ms = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._index)

    def add(self, steps: SharerSteps) -> None:
        """Add trials, each once."""
        self._add(steps.sharers, np.stack(steps[1:5], axis=1), steps.last_ms)

    def _add(self, sharers: Hashes, sums: Ints, last_ms: Ints) -> None:
        rows = self._index.add(sharers.view(np.int64))
        self._sums = grown(self._sums, len(self))
        self._last_ms = grown(self._last_ms, len(self), NO_TIME)
        np.add.at(self._sums, rows, sums)
        np.maximum.at(self._last_ms, rows, last_ms)

    def forget(self, end_ms: int) -> None:
        """Forget who was silent too long, and if there is no more room, who was silent longest."""
        memory_ms, most = self._limits.memory_ms, self._limits.most_sharers
        if memory_ms is None and len(self) <= most:
            return
        last_ms = self._last_ms[: len(self)]
        first_ms = NO_TIME if memory_ms is None else end_ms - memory_ms
        if len(self) > most:
            first_ms = max(first_ms, int(np.partition(last_ms, -int(most * _KEPT))[-int(most * _KEPT)]))
        self._keep(np.flatnonzero(last_ms >= first_ms))

    def erase(self, sharers: Hashes) -> None:
        """Forget some people."""
        self._keep(np.flatnonzero(~np.isin(self._index.keys, sharers.view(np.int64))))

    def _keep(self, kept: Ints) -> None:
        if len(kept) == len(self):
            return
        self._sums, self._last_ms = self._sums[kept], self._last_ms[kept]
        self._index = HashIndex(self._index.keys[kept])

    def measured(self, sharers: Hashes) -> SignalValues:
        """Return what the trials of people say."""
        rows, limits = self._index.find(sharers.view(np.int64)), self._limits
        sums = np.where(rows < 0, 0, self._sums[rows].T) if len(self) else np.zeros((4, len(rows)), np.int64)
        in_step, expected = sums[_IN_STEP], sums[_EXPECTED] / MILLION
        doubt = np.sqrt(sums[_VARIANCE] / MILLION + (limits.pace_error * expected) ** 2)
        z = quotient(in_step - expected, doubt)
        return SignalValues(
            Signal.SYNCHRONY,
            limits.in_step_z,
            z,
            sums[_TRIALS],
            (z >= limits.in_step_z) & (in_step >= limits.in_step_shares),
            {"in_step": in_step.astype(np.float64), "expected": expected},
        )

    def stored(self) -> StoredEvidence:
        """Return what is to be stored."""
        sums = [stored(column) for column in self._sums[: len(self)].T]
        return StoredEvidence(stored(self._index.keys), sums, stored(self._last_ms[: len(self)]))

    def restore(self, evidence: StoredEvidence) -> None:
        """Add what was stored, here or elsewhere."""
        sums = np.stack([unstored(column) for column in evidence.sums], axis=1)
        self._add(unstored(evidence.sharers).view(np.uint64), sums, unstored(evidence.last_ms))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._index.nbytes + self._sums.nbytes + self._last_ms.nbytes
