"""The offline cut: the cut of a batch of counts, without Kafka; a worker's computation, exact at any size."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.cuts.cut import cuts_of
from stream_app.core.cuts.histogram import Cells

_LARGEST_TOTAL = 2.0**63


class OfflineCut(NamedTuple):
    """The smallest set of users who have a given share of the total."""

    k: int
    """Number of users in the cut."""
    threshold: int
    """θ, in the unit of the values: the value of the k-th user. Every user in the cut has at least θ."""
    ties: int
    """Users whose value is exactly θ, in the cut or not."""
    coverage: float
    """Share of the total that the k users have, from `share` to 1."""
    users: int
    """Users with a value above zero."""
    total: int
    """Sum of all values, in their unit."""
    gini: float
    """Gini coefficient of the values above zero, from 0 (all equal) to 1."""


def offline_cut(values: Iterable[int] | Mapping[Any, int], share: float = 0.8) -> OfflineCut:
    """Compute the cut of one count per user, in any order; pure, in O(n log n) for n users.

    values: one-dimensional, an integer from 0 on for each user, in any one unit (posts, impressions): a list, a NumPy
    array, an iterator, or a mapping from user to value. Users with 0 are not counted.
    share: the part of the total that the cut must have, above 0 and below 1; rounded to four decimals, as in a worker.

    Raises ValueError for a share out of range, for values that are not integers from 0 on or are not one-dimensional,
    for a total of 2^63 or more, and if no value is above zero.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must be above 0 and below 1, not {share!r}")
    given = _integers([*(values.values() if isinstance(values, Mapping) else values)])
    distinct, users = np.unique(given[given > 0], return_counts=True)
    if not len(distinct):
        raise ValueError("no value is above zero: there is no cut")
    distinct, users = distinct[::-1], users[::-1].astype(np.int64)
    cuts = cuts_of(Cells(np.zeros_like(distinct), distinct, users, users * distinct), share)
    return OfflineCut(
        k=int(cuts.k[0]),
        threshold=int(cuts.thresholds[0]),
        ties=int(cuts.ties[0]),
        coverage=float(cuts.coverage[0]),
        users=int(cuts.users[0]),
        total=int(cuts.totals[0]),
        gini=float(cuts.gini[0]),
    )


def _integers(values: list[int]) -> NDArray[np.int64]:
    array = np.array(values or [0])
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.sum(dtype=float) >= _LARGEST_TOTAL:
        raise ValueError("values must be integers from 0 on, with a total below 2^63")
    return array.astype(np.int64)
