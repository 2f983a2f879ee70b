"""The width of a cut's interval, in standard errors by side: 1.96 of them, corrected for skewed values and few users.

The sums that decide are skewed, and a sample knows how much: by Σx³/(Σx²)^1.5, which is 1 where one user has everything
and falls with 1/√N where tails are light; by 1/√(effective users); and by the form of its tail. The expansions of
Edgeworth and of Cornish and Fisher correct a quantile by such terms, to the first orders, and not where a tail has no
third moment. So the logarithm of the correction is linear in such terms here, and the coefficients are fitted (quantile
regression; Koenker and Bassett 1978, "Regression quantiles"): about 1 of 100 samples misses on each side, and 3 of
those that are hardest, in samples of 12 to 40,000 users from log-normal, Pareto, Lomax, gamma and Weibull
distributions, of counts, and of mixtures. All terms vanish where tails are light and users many: about 1.96 remains.

The fit: `python -m tests.tools.intervals.calibrate`. What comes of it: `python -m tests.tools.intervals.coverage`.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats


class CurveStatistics(NamedTuple):
    """What the widths depend on, by curve. The head of a curve are the users of the cut; logs are those of x/θ."""

    users: Floats
    head: Floats
    """Users in the head, the last one in part."""
    k_error: Floats
    """The standard error of log k."""
    error: Floats
    """The standard error of the log odds of the share of the head: 1/√(effective users)."""
    skewness: Floats
    """Σx³/(Σx²)^1.5 of the head."""
    spread: Floats
    """The standard deviation of the logs, of all users."""
    excess: Floats
    """The mean of the logs in the head: of a Pareto tail one over its exponent (Hill 1975)."""
    excess_square: Floats
    """The mean of their squares, of a Pareto tail twice the square of `excess`."""


class Widths(NamedTuple):
    """How many standard errors an interval extends from k or θ, by curve and side."""

    k_low: Floats
    k_high: Floats
    threshold_high: Floats
    threshold_low: Floats


NORMAL = 1.96
_MOST_CORRECTED = np.log(25.0)
"""The largest correction there was in the samples, and one over the smallest."""


_COEFFICIENTS = np.array(
    [
        (6.11, 3.46, 1.80, -0.15),
        (-12.96, 0.33, -10.00, 0.24),
        (1.44, 0.23, 2.40, -1.36),
        (14.00, -1.16, 7.95, 0.41),
        (1.33, -0.74, 0.91, 0.11),
        (3.48, -3.21, 5.31, -0.70),
        (0.44, -0.31, 0.66, 0.08),
        (7.19, -3.37, 7.36, -0.27),
        (2.85, -1.27, 4.16, 0.18),
        (-0.72, 0.13, -1.79, 0.76),
        (-2.79, 3.09, -4.23, 0.71),
        (-6.00, 0.93, -10.51, 1.51),
        (-15.04, 0.19, -9.21, -0.01),
        (5.64, -3.24, 7.64, -1.41),
    ]
)
"""By term, as in `features_of`, and side, as in `Widths`."""


def features_of(found: CurveStatistics) -> Floats:
    """Return the terms of the correction, by term and curve."""
    skewness, error = np.minimum(found.skewness, 1.0), np.minimum(found.error, 1.2)
    k_error = np.minimum(found.k_error, 1.0)
    spread, excess = np.minimum(found.spread, 4.0) / 2.0, np.minimum(found.excess, 2.5)
    square = np.maximum(found.excess, 1e-9) ** 2
    tail = np.where(found.excess > 1e-9, np.clip(found.excess_square / square, 0.0, 4.0), 1.0) - 1.0
    part = found.head / found.users
    of_skewness = (np.ones_like(part), skewness, error, k_error, spread, excess, tail, part)
    of_error = (np.ones_like(part), error, excess, part)
    terms = (*(skewness * term for term in of_skewness), *(error * term for term in of_error))
    return np.stack((*terms, k_error, found.users**-0.5))


def widths_of(found: CurveStatistics) -> Widths:
    """Return the number of standard errors by side and curve."""
    correction = np.clip(_COEFFICIENTS.T @ features_of(found), -_MOST_CORRECTED, _MOST_CORRECTED)
    return Widths(*(NORMAL * np.exp(correction)))
