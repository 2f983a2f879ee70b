"""Cut news: which cuts of a home are to be published, so that readers hear of what is new to them and of nothing else.

A scope whose users can be ranked is published with every change: flags hang on it. A smaller one is published when k
makes a step or θ moves by a tenth, and otherwise once a minute, for most topics are small and change with every event.
When nothing has changed for a moment, all that waits is published: what is read then is exact. While a home has few
scopes, all of them are published like those that can be ranked.
"""

import numpy as np

from stream_app.core.arrays import Codes, Ints, Mask
from stream_app.core.cuts.scope_cuts import ScopeCuts

STEP = 0.1
"""The part of θ by which it moves before the cut of a small scope is news …"""
AT_LEAST_EVERY_MS = 60_000
"""… and how long it can take until it is published anyhow …"""
REST_MS = 2_000
"""… or how long after the last change anywhere."""

_CHANGED, _LOOKED_AT, _DUE = 1, 2, 3
"""A scope has changed and was no news, has changed and is to be looked at, or is news whether it has changed or not."""


class CutNews:
    """What has been published of the scopes of one home, by their number."""

    def __init__(self, min_users: int, few_scopes: int) -> None:
        self._min_users = min_users
        self._few_scopes = few_scopes
        self._published = ScopeCuts.empty(0)
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
        users = cuts.users.max(axis=0, initial=0)
        is_small_home = self._scopes <= self._few_scopes
        followed: Mask = np.asarray((users >= self._min_users) | ((users > 0) & is_small_home))
        return followed

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
        now, then = cuts.of(looked_at), self._published.of(looked_at)
        differs = np.logical_or.reduce([(a != b).any(axis=0) for a, b in zip(now, then, strict=True)])
        is_news = is_due | (differs & (self.are_followed(now) | _is_step(now, then) | is_late))
        self._waits[looked_at[~is_news]] = differs[~is_news] * _CHANGED
        news: Ints = looked_at[is_news]
        return news[:most]

    def publish(self, scopes: Ints, cuts: ScopeCuts, now_ms: int) -> ScopeCuts:
        """Note that scopes are published with these cuts; return what was published of them before."""
        before = self._published.of(scopes)
        for column, known in zip(self._published, cuts, strict=True):
            column[:, scopes] = known
        self._published_ms[scopes], self._waits[scopes] = now_ms, 0
        return before

    def renumber(self, kept: Ints) -> None:
        """Keep only the scopes in `kept`, numbered in that order."""
        self._published = self._published.of(kept)
        self._published_ms, self._waits = self._published_ms[kept], self._waits[kept]

    def _make_room(self, size: int) -> None:
        known = len(self._waits)
        if size > known:
            wider = ScopeCuts.empty(size)
            for column, before in zip(wider, self._published, strict=True):
                column[:, :known] = before
            self._published = wider
            self._published_ms = np.pad(self._published_ms, (0, size - known))
            self._waits = np.pad(self._waits, (0, size - known))


def _is_step(now: ScopeCuts, then: ScopeCuts) -> Mask:
    """Return which cuts say something that a reader would act on."""
    moved = np.abs(now.thresholds - then.thresholds) >= STEP * np.maximum(then.thresholds, 1)
    came_or_went = (now.users > 0) != (then.users > 0)
    step: Mask = ((now.k != then.k) | moved | came_or_went).any(axis=0)
    return step
