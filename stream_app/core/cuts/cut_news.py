"""Cut news: which cuts of a home are to be published, so that readers hear of what is new to them and of nothing else.

A scope whose users can be ranked is published with every change: flags hang on it. A smaller one is published when k
makes a step or θ moves by a tenth, and otherwise once a minute, for most topics are small and change with every event.
When nothing has changed for a moment, all that waits is published: what is read then is exact. While a home has few
scopes, all of them are published like those that can be ranked.

Of what was published it keeps only what it compares, a third of the cuts.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Hashes, Ints, Mask
from stream_app.core.cuts.scope_cuts import ScopeCuts
from stream_app.core.flags.ranking import are_followed

STEP = 0.1
"""The part of θ by which it moves before the cut of a small scope is news …"""
AT_LEAST_EVERY_MS = 60_000
"""… and how long it can take until it is published anyhow …"""
REST_MS = 2_000
"""… or how long after the last change anywhere."""

_CHANGED, _LOOKED_AT, _DUE = 1, 2, 3
"""A scope has changed and was no news, has changed and is to be looked at, or is news whether it has changed or not."""


class _Known(NamedTuple):
    """What readers know of scopes: of shape (roles, n), by role, but for the hashes of all that the cuts say."""

    are_there: Mask
    k: Ints
    thresholds: Ints
    hashes: Hashes

    @classmethod
    def by(cls, cuts: ScopeCuts, least: int) -> "_Known":
        return cls(cuts.users >= least, cuts.k, cuts.thresholds, cuts.hashes())

    def of(self, scopes: Ints) -> "_Known":
        return _Known(self.are_there[:, scopes], self.k[:, scopes], self.thresholds[:, scopes], self.hashes[scopes])


class CutNews:
    """What has been published of the scopes of one home, by their number."""

    def __init__(self, few_scopes: int, least: int = 1) -> None:
        """`least`: the number of users from which on readers hear of a cut."""
        self._few_scopes = few_scopes
        self._least = least
        self._known = _Known.by(ScopeCuts.empty(0), least)
        self._published_ms = np.zeros(0, np.int64)
        self._waits: Codes = np.zeros(0, np.uint8)
        """By scope: _CHANGED, _LOOKED_AT or _DUE until it is published."""
        self._window_end = 0
        self._changed_ms = 0
        """When anything had changed last."""
        self._scopes = 0
        """With users, when it looked last."""

    def are_followed(self, cuts: ScopeCuts) -> Mask:
        """Return which scopes are published with every change, given their cuts."""
        is_small_home = self._scopes <= self._few_scopes
        return np.any(cuts.users > 0, axis=0) | are_followed(cuts) if is_small_home else are_followed(cuts)

    def look(self, cuts: ScopeCuts, changed: Ints, window_end: int, now_ms: int, most: int) -> Ints:
        """Return at most `most` scopes to publish now, given the cuts of all and which have changed since last time.

        `window_end`: of the window that the cuts are of; when it moves on, scopes that are followed are news.
        """
        self._make_room(cuts.users.shape[1])
        if not len(changed) and window_end == self._window_end and not self._waits.any():
            return changed
        self._scopes = int(np.count_nonzero(cuts.users.any(axis=0)))
        if len(changed):
            self._changed_ms = now_ms
        is_at_rest = now_ms - self._changed_ms >= REST_MS
        self._waits[changed] = np.maximum(self._waits[changed], _LOOKED_AT)
        if window_end != self._window_end:
            self._window_end = window_end
            self._waits[self.are_followed(cuts)] = _DUE
        waiting = np.flatnonzero(self._waits)
        is_late = is_at_rest | (now_ms - self._published_ms[waiting] >= AT_LEAST_EVERY_MS)
        # What waits and has not changed again is news once it is late, and not before.
        is_due = self._waits[waiting] >= _DUE
        chosen = is_late | (self._waits[waiting] >= _LOOKED_AT)
        looked_at, is_late, is_due = waiting[chosen], is_late[chosen], is_due[chosen]
        now, known = cuts.of(looked_at), self._known.of(looked_at)
        differs = now.hashes() != known.hashes
        is_news = is_due | (differs & (self.are_followed(now) | self._is_step(now, known) | is_late))
        self._waits[looked_at[~is_news]] = differs[~is_news] * _CHANGED
        news: Ints = looked_at[is_news]
        return news[:most]

    def publish(self, scopes: Ints, cuts: ScopeCuts, now_ms: int) -> Mask:
        """Note that scopes are published with these cuts; return, by role, which cuts were there before."""
        were_there = self._known.of(scopes).are_there
        for column, said in zip(self._known, _Known.by(cuts, self._least), strict=True):
            column[..., scopes] = said
        self._published_ms[scopes], self._waits[scopes] = now_ms, 0
        return were_there

    def renumber(self, kept: Ints) -> None:
        """Keep only the scopes in `kept`, numbered in that order."""
        self._known = self._known.of(kept)
        self._published_ms, self._waits = self._published_ms[kept], self._waits[kept]

    def _make_room(self, size: int) -> None:
        more = size - len(self._waits)
        if more > 0:
            nothing = _Known.by(ScopeCuts.empty(more), self._least)
            columns = zip(self._known, nothing, strict=True)
            self._known = _Known(*(np.concatenate(both, axis=-1) for both in columns))
            self._published_ms = np.pad(self._published_ms, (0, more))
            self._waits = np.pad(self._waits, (0, more))

    def _is_step(self, now: ScopeCuts, known: _Known) -> Mask:
        """Return which cuts say something that a reader would act on."""
        moved = np.abs(now.thresholds - known.thresholds) >= STEP * np.maximum(known.thresholds, 1)
        came_or_went = (now.users >= self._least) != known.are_there
        step: Mask = ((now.k != known.k) | moved | came_or_went).any(axis=0)
        return step
