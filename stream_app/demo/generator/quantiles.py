"""Log-normal proportions without chance: what each of N people has of a whole."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_NORMAL = NormalDist()


def lognormal_slices(size: int, sigma: float) -> NDArray[np.float64]:
    """The means of `size` equal slices of a log-normal distribution, smallest first; together their mean is 1.

    The sum of the lowest i is the Lorenz curve at i / size, so the proportions are the same at every size.
    """
    curve = [_NORMAL.cdf(_NORMAL.inv_cdf(rank / size) - sigma) for rank in range(1, size)]
    return np.diff([0.0, *curve, 1.0]) * size


def whole_numbers(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers whose running sum stays within one half of that of `amounts`, so that small ones do not vanish."""
    return np.diff(np.floor(np.cumsum(amounts) + 0.5), prepend=0).astype(np.int64)
