"""Sums of the funnel: what the stages of one scope came to, and what follows from them."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints


class FunnelSums(NamedTuple):
    """The stages of one scope in a window; those of several partitions are added up."""

    new: int = 0
    """Entries of people not known before."""
    re_entered: int = 0
    recruited: int = 0
    """Entries by a share that names somebody else."""
    self_started: int = 0
    unknown: int = 0
    """Entries by a share that names nobody."""
    participants: int = 0
    """People with any event."""
    advocates: int = 0
    """People whose posts others shared."""
    recruiters: int = 0
    """People whom a recruited entry names."""

    @property
    def entries(self) -> int:
        """All entries: of new people and again, and of each kind."""
        return self.new + self.re_entered

    @property
    def k(self) -> float | None:
        """Recruited entries for each participant; None without participants."""
        return self.recruited / self.participants if self.participants else None

    def plus(self, other: "FunnelSums") -> "FunnelSums":
        """Return the sums of both: of two partitions, which have no person in common, or of two parts of one."""
        return FunnelSums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def effective_sharers(shares: Ints, squares: Ints) -> Floats:
    """Return n² / Σ c²: as many people who share equally often would be as spread; 0 without shares.

    `shares`: n, all shares of an author's posts; `squares`: Σ c² over the shares of each sharer.
    """
    n = shares.astype(np.float64)
    effective: Floats = np.divide(n * n, squares, out=np.zeros(len(n)), where=squares > 0)
    return effective


def multiplier(own: Ints, amplified: Ints) -> Floats:
    """Return (own + amplified) / own impressions; NaN without own ones."""
    times: Floats = np.divide(own + amplified, own, out=np.full(len(own), np.nan), where=own > 0)
    return times
