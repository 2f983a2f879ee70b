"""Synchrony: which sharers come in step with others, more often than the pace of the posts explains.

The problem: pods of accounts share the same posts within seconds of each other. So do thousands of strangers while
something goes round; a count of who was near whom marks a quarter of them. What a pod has, and a crowd has not, is
that nothing surrounds it: a crowd thins out over many minutes, a pod is there and gone.

How: a share is *in step* if somebody else's share of the same post is within `step_ms` of it, before or after. The pace
of the post around it is that of the shares at a distance of `guard_ms` to `pace_ms`, on the side where there are more,
and of one beside (nobody knows that a post has no pace at all). Nearer ones are no measure: they may be the pod itself,
and a mean that runs along with it would take a large pod for a fast post. From the pace follows the probability
p = 1 − exp(−width × pace) that a stranger would have been in step.

    ts 9:00:01.0  ann  ┐ in step, p = .012: nobody else within half an hour
    ts 9:00:09.5  bob  ┘
    ts 9:41:12.0  eve    alone: not in step, p = .012

`width` is both steps and the second to which times are exact. A whole minute or hour is taken as a time that is no more
exact than that: it may be far from what looks near, so two shares are beside.

Each share is a *trial* of its sharer: in step or not (f), p, and p(1 − p). While a post goes round, everybody is in
step; a share with p above `most_by_chance` says nothing and is no trial. Of trials only sums are kept
(`step_evidence.py`), in millionths as whole numbers: sums of those are the same in any order and grouping.

How it crosses partitions: sharers of one post are in all partitions, by their own ids. So this stage stands where
credits arrive, which are keyed by the credited author: all shares of a post meet in the partition of its author. Its
trials go back to the partition that each share came from, see `stored/step_log.py`. A sharer's partition adds them up.

The invariant: a share is judged when all up to `pace_ms` after it have come, and `disorder_ms` more for those that are
under way; it is held `pace_ms` longer, for those after it. So a judgement hangs on neither order nor batches. Nothing
else is kept of a post.

What is approximate:
- A share that comes later than `disorder_ms` is left out, as a trial and for others, and counted as late.
- A share that is taken back before it is judged is as if it had never been; after that it stays judged.
- A share that does not name its post counts as one of the author's. Shares that name neither are no trials.
- The pace is that of the surroundings, and may be wrong by `pace_error`; see `step_evidence.py`.
- A pod that spreads its shares over minutes has the surroundings of a small crowd: with a jitter of 300 s less than
  half of its accounts are found. One that joins what is going round anyway is found only by its other posts.
- People who all share within a minute or two and then no more, as in a chat, are in step indeed, and marked. With mail,
  which is forwarded over half an hour, nobody is; but who forwards by a rule, at once, is.
- An account that shares hundreds of posts alone for each one with its pod is not found: its Σp grows.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.signals.held_events import StoredHeld
from stream_app.core.signals.pair_counts import paired
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.stored.stored_arrays import starts_of, stored, unstored
from stream_app.core.state.watermark import NO_TIME

MILLION = 1_000_000
_EXACT_MS, _INEXACT_MS = 1000, (60_000, 3_600_000)
"""What times are exact to: nearly always, and where they are whole minutes or hours."""
_BESIDE = (1, 2)
"""Shares that the surroundings have beside those that are there, where times are exact and where they are not."""


class CreditedShares(NamedTuple):
    """Shares as they credit authors, each once: columns of equal length."""

    ts_ms: Ints
    posts: Hashes
    """Hash of the author and the post; without the latter shares are of one post."""
    sharers: Hashes
    """Under the secret of the partition that each came from."""
    sources: Ints
    """That partition."""

    def take(self, chosen: Mask | Ints | slice) -> "CreditedShares":
        """Return some of them."""
        return CreditedShares._make(column[chosen] for column in self)


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
    sources: Ints
    """Partition of the sharer."""

    def take(self, chosen: Mask | Ints) -> "Trials":
        """Return some of them."""
        return Trials._make(column[chosen] for column in self)


_NONE = np.empty(0, np.int64)
NO_SHARES = CreditedShares(_NONE, _NONE.view(np.uint64), _NONE.view(np.uint64), _NONE)
NO_TRIALS = Trials(_NONE, _NONE.view(np.uint64), _NONE, _NONE, _NONE, _NONE)
_DTYPES = ("<i8", "<u8", "<u8", "<i2")
"""Of shares that are held."""


class StepJudge:
    """Judges shares of the posts of one partition's authors."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self._limits = limits
        self._held = _as_held(NO_SHARES)
        """In order of post."""
        self._new: list[CreditedShares] = []
        self._taken: list[Hashes] = []
        """Of shares to be dropped: looked for once all are put in order, because that costs much."""
        self.ready_ms = NO_TIME
        """Event time up to which no more shares are taken."""
        self.late = 0
        """Shares that came too late to be judged, or could not be held until they were."""

    def add(self, shares: CreditedShares) -> Mask:
        """Take shares. Returns which are too late, and left out."""
        late: Mask = shares.ts_ms < self.ready_ms
        self.late += int(np.count_nonzero(late))
        self._new.append(_as_held(shares.take(~late)))
        return late

    def take_back(self, shares: CreditedShares) -> None:
        """Drop shares that are not judged yet, each once: it may have come again."""
        self._taken.append(_keys(_as_held(shares)))

    def advance(self, end_ms: int) -> Trials:
        """Judge all shares that can be, now that all partitions' credits have come to `end_ms`."""
        limits, before_ms, ready_ms = self._limits, self.ready_ms, self._ready_at(end_ms)
        if ready_ms <= before_ms:
            return NO_TRIALS
        self.ready_ms = ready_ms
        held = self._in_order()
        judged_from, judged_to = before_ms - limits.pace_ms, ready_ms - limits.pace_ms
        trials = self._judged(held, (held.ts_ms >= judged_from) & (held.ts_ms < judged_to))
        self._held = held.take(held.ts_ms >= judged_to - limits.pace_ms)
        if (over := len(self._held.ts_ms) - limits.most_held) > 0:
            first_ms = int(np.partition(self._held.ts_ms, over)[over])
            self.late += int(np.count_nonzero((self._held.ts_ms < first_ms) & (self._held.ts_ms >= judged_to)))
            self._held = self._held.take(self._held.ts_ms >= first_ms)
        return trials

    def goes_on_at(self, end_ms: int) -> bool:
        """Return whether `advance` would judge anything."""
        return self._ready_at(end_ms) > self.ready_ms

    def _ready_at(self, end_ms: int) -> int:
        return (end_ms - self._limits.disorder_ms) // self._limits.judge_ms * self._limits.judge_ms

    def _in_order(self) -> CreditedShares:
        """Return all that is held, in order of post and of time within."""
        joined = CreditedShares(*(np.concatenate(columns) for columns in zip(self._held, *self._new, strict=True)))
        self._new = []
        if self._taken:
            joined, self._taken = joined.take(_are_left(_keys(joined), np.concatenate(self._taken))), []
        joined = joined.take(np.argsort(joined.posts, kind="stable"))  # nearly in order: much cheaper than from scratch
        return joined.take(np.argsort(_line(joined)[0], kind="stable"))

    def _judged(self, held: CreditedShares, is_judged: Mask) -> Trials:
        limits, judged = self._limits, np.flatnonzero(is_judged)
        if not len(judged):
            return NO_TRIALS
        line, span = _line(held)

        def near(from_ms: int, to_ms: int) -> Ints:
            """Count the shares of the same post at a distance."""
            low, high = np.clip((from_ms, to_ms), -span, span).tolist()
            found: Ints = np.searchsorted(line, line[judged] + high, "right")
            found -= np.searchsorted(line, line[judged] + low)
            return found

        around = np.maximum(near(-limits.pace_ms, -limits.guard_ms), near(limits.guard_ms, limits.pace_ms))
        ts_ms, exact_width_ms = held.ts_ms[judged], 2 * limits.step_ms + _EXACT_MS
        width_ms, beside = np.full(len(ts_ms), exact_width_ms), np.full(len(ts_ms), _BESIDE[0])
        for exact_ms in _INEXACT_MS:
            inexact = ts_ms % exact_ms == 0
            width_ms[inexact], beside[inexact] = max(exact_ms, exact_width_ms), _BESIDE[1]
        p: Floats = -np.expm1(-width_ms * (around + beside) / (limits.pace_ms - limits.guard_ms))
        in_step = _in_step(held, limits.step_ms)[judged].astype(np.int64)
        expected, variance = (np.rint(MILLION * value).astype(np.int64) for value in (p, p * (1 - p)))
        trials = Trials(ts_ms, held.sharers[judged], in_step, expected, variance, held.sources[judged])
        return trials.take(p <= limits.most_by_chance)

    def stored(self) -> StoredHeld:
        """Return what is to be stored."""
        self._held = self._in_order()
        return StoredHeld(self.ready_ms, self.late, [*map(stored, self._held)])

    def restore(self, held: StoredHeld) -> None:
        """Go on from what was stored; nothing is held so far."""
        self.ready_ms, self.late = held.ready_ms, held.late
        self._new = [CreditedShares(*map(unstored, held.columns, _DTYPES))]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        held = sum(column.nbytes for shares in (self._held, *self._new) for column in shares)
        return held + sum(keys.nbytes for keys in self._taken)


def _as_held(shares: CreditedShares) -> CreditedShares:
    return CreditedShares(*(column.astype(dtype) for column, dtype in zip(shares, _DTYPES, strict=True)))


def _keys(shares: CreditedShares) -> Hashes:
    return paired(paired(shares.posts, shares.sharers), shares.ts_ms.astype(np.uint64))


def _are_left(keys: Hashes, taken: Hashes) -> Mask:
    """Return which keys are left, if each that is taken goes once."""
    distinct, times = np.unique(taken, return_counts=True)
    found = np.flatnonzero(np.isin(keys, distinct))
    found = found[np.argsort(keys[found], kind="stable")]
    firsts = starts_of(keys[found])
    again = np.arange(len(found)) - np.repeat(firsts, np.diff(firsts, append=len(found)))
    left = np.ones(len(keys), np.bool_)
    left[found] = again >= times[np.searchsorted(distinct, keys[found])]
    return left


def _line(shares: CreditedShares) -> tuple[Ints, int]:
    """Return shares in order of post as one line, on which posts are further apart than any times; and how far."""
    if not len(shares.ts_ms):
        return shares.ts_ms, 1
    begins = np.zeros(len(shares.ts_ms), np.int64)
    begins[starts_of(shares.posts)] = 1
    first_ms = int(shares.ts_ms.min())
    span = int(shares.ts_ms.max()) - first_ms + 1
    return np.cumsum(begins) * (2 * span) + shares.ts_ms - first_ms, span


def _in_step(held: CreditedShares, step_ms: int) -> Mask:
    """Return whether the one before or after, by somebody else and of the same post, is near enough."""
    firsts = starts_of(held.posts, held.sharers)
    run = np.zeros(len(held.ts_ms), np.int64)
    run[firsts] = 1
    run = np.cumsum(run) - 1
    found = np.zeros(len(held.ts_ms), np.bool_)
    places: Ints = np.arange(len(found))
    for others in (firsts[run] - 1, np.append(firsts[1:], len(found))[run]):
        is_there = (others >= 0) & (others < len(found))
        mine, theirs = places[is_there], others[is_there]
        is_near = np.abs(held.ts_ms[theirs] - held.ts_ms[mine]) <= step_ms
        found[mine] |= is_near & (held.posts[theirs] == held.posts[mine])
    return found
