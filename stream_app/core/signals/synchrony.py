"""Synchrony: which sharers come in step with others, more often than the pace of the posts explains.

The problem: pods of accounts share the same posts within seconds of each other. So do thousands of strangers while
something goes round; whoever counts who was near whom marks a quarter of them. What a pod has, and a crowd has not, is
that nothing surrounds it: a crowd thins out over many minutes, a pod is there and gone.

How: a share is *in step* if somebody else's share of the same post is within `step_ms` of it, before or after. The pace
of the post around it is that of the shares by others at a distance of `guard_ms` to `pace_ms`, on the side where there
are more, and one share beside (nobody knows that a post has no pace at all). Nearer ones are no measure: they may be
the pod itself, and a mean that runs along with it would take a large pod for a fast post. From the pace follows the
probability p = 1 − exp(−width × pace) that a stranger would have been in step. `width` is both steps and the second to
which times are exact; a time that is a whole minute is taken as exact to a minute.

    ts 9:00:00.0  ann  ┐ in step, p = .012: nobody else within half an hour
    ts 9:00:08.5  bob  ┘
    ts 9:41:12.0  eve    alone: not in step, p = .012

Each share is a *trial* of its sharer: in step or not (f), p, and p(1 − p). Of trials only sums are kept
(`step_evidence.py`), in millionths as whole numbers: sums of those are the same in any order and grouping.

How it crosses partitions: sharers of one post are in all partitions, by their own ids. So this stage stands where
credits arrive, which are keyed by the credited author: all shares of a post meet in the partition of its author. Its
trials go back, packed by the partition of the sharer, like credits go forth: at least once, with a derived id for each
packet (who sent it, from which ready_ms to which), so that a repeat is known. A sharer's partition adds them up.

The invariant: a share is judged when all up to `pace_ms` after it have come, and `disorder_ms` more for those that are
under way; it is held `pace_ms` longer, for those after it. So a judgement hangs on neither order nor batches. Nothing
else is kept of a post.

What is approximate:
- A share that comes later than `disorder_ms` is left out, as a trial and for others, and counted as late.
- A share that is taken back after it was judged stays judged.
- A share that does not name its post counts as one of the author's. Shares that name neither are no trials.
- The pace is that of the surroundings, and may be wrong by `pace_error`; see `step_evidence.py`.
- A pod that spreads its shares over minutes has the surroundings of a small crowd: with a jitter of 300 s less than
  half of its accounts are found. One that joins what is going round anyway is found only by its other posts.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.signals.held_events import HeldEvents, StoredHeld
from stream_app.core.signals.limits import SignalLimits
from stream_app.core.signals.pair_counts import paired

MILLION = 1_000_000
_SECOND_MS, _MINUTE_MS = 1000, 60_000
_A_PRIORI = 1
"""Shares that the surroundings of every share have beside those that are there."""


class CreditedShares(NamedTuple):
    """Shares as they credit authors, each once: columns of equal length."""

    ts_ms: Ints
    authors: Hashes
    posts: Hashes
    """NOBODY (0) where the share does not name it."""
    sharers: Hashes


class Trials(NamedTuple):
    """Shares that were judged: columns of equal length."""

    ts_ms: Ints
    sharers: Hashes
    in_step: Ints
    """1 or 0."""
    expected: Ints
    """p, in millionths."""
    variance: Ints
    """p(1 − p), in millionths."""


class StepJudge:
    """Judges shares of the posts of one partition's authors."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self._limits = limits
        self._held = HeldEvents(("<u8", "<u8"), limits.most_held)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def late(self) -> int:
        """Shares that came too late to be judged."""
        return self._held.late

    def add(self, shares: CreditedShares) -> Mask:
        """Take shares. Returns which are too late, and left out."""
        posts = np.where(shares.posts == 0, shares.authors, paired(shares.authors, shares.posts))
        return self._held.add((shares.ts_ms, posts, shares.sharers))

    def advance(self, end_ms: int) -> Trials:
        """Judge all shares that can be, now that all partitions' credits have come to `end_ms`."""
        before, pace_ms = self._held.ready_ms, self._limits.pace_ms
        held = self._held.advance(end_ms - self._limits.disorder_ms, 2 * pace_ms)
        judged = slice(*np.searchsorted(held[0], (before - pace_ms, self._held.ready_ms - pace_ms)).tolist())
        ts_ms, posts, sharers = held
        return self._judged(ts_ms, posts, sharers, judged)

    def _judged(self, ts_ms: Ints, posts: Hashes, sharers: Hashes, judged: slice) -> Trials:
        limits, own = self._limits, paired(posts, sharers)
        all_of, own_of = _Near(ts_ms, posts, judged), _Near(ts_ms, own, judged)

        def others(from_ms: int, to_ms: int) -> Ints:
            return all_of.count(from_ms, to_ms) - own_of.count(from_ms, to_ms)

        in_step = (others(-limits.step_ms, limits.step_ms) > 0).astype(np.int64)
        before, after = others(-limits.pace_ms, -limits.guard_ms), others(limits.guard_ms, limits.pace_ms)
        around = (np.maximum(before, after) + _A_PRIORI) / (limits.pace_ms - limits.guard_ms)
        p: Floats = -np.expm1(-_width_ms(ts_ms[judged], limits.step_ms) * around)
        whole = (np.rint(MILLION * value).astype(np.int64) for value in (p, p * (1 - p)))
        return Trials(ts_ms[judged], sharers[judged], in_step, *whole)

    def stored(self) -> StoredHeld:
        """Return what is to be stored."""
        return self._held.stored()

    def restore(self, held: StoredHeld) -> None:
        """Go on from what was stored."""
        self._held.restore(held)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._held.nbytes


class _Near:
    """Counts events of the same key that are near others in time."""

    def __init__(self, ts_ms: Ints, keys: Hashes, asked: slice) -> None:
        _, numbers = np.unique(keys, return_inverse=True)
        start = int(ts_ms[0]) if len(ts_ms) else 0
        span = (int(ts_ms[-1]) - start if len(ts_ms) else 0) + 1
        self._span = span
        self._line = numbers * (3 * span) + span + (ts_ms - start)  # each key's events on a stretch of their own
        self._sorted = np.sort(self._line)
        self._asked = self._line[asked]

    def count(self, from_ms: int, to_ms: int) -> Ints:
        """Return how many events are from `from_ms` to `to_ms` after each of those asked for."""
        low, high = np.clip((from_ms, to_ms), -self._span, self._span).tolist()
        found: Ints = np.searchsorted(self._sorted, self._asked + high, "right")
        found -= np.searchsorted(self._sorted, self._asked + low)
        return found


def _width_ms(ts_ms: Ints, step_ms: int) -> Ints:
    """Return the stretch of time, at the precision of each time, in which another share is in step with it."""
    width_ms = 2 * step_ms + _SECOND_MS
    return np.where(ts_ms % _MINUTE_MS == 0, max(_MINUTE_MS, width_ms), width_ms)
