"""The width of a cut's interval, in standard errors by side: 1.96 of them, corrected for skewed values and few users.

The sums that decide are skewed, and a sample knows how much: by Σx³/(Σx²)^1.5, which is 1 where one user has everything
and falls with 1/√N where tails are light; by 1/√(effective users); and by the form of its tail. The expansions of
Edgeworth and of Cornish and Fisher correct a quantile by such terms, to the first orders, and not where a tail has no
third moment. So the logarithm of the correction is linear in such terms here, and the coefficients are fitted: about 2
to 3 of 100 samples miss on each side (quantile regression; Koenker and Bassett 1978, "Regression quantiles"), in
samples of 14 to 40,000 users from log-normal, Pareto, Lomax, gamma and Weibull distributions, of counts, and of
mixtures. All terms vanish where tails are light and users are many: 1.96 remains.

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
        (1.76, 1.28, -5.66, 3.77),
        (-11.27, 1.02, -7.74, 0.97),
        (3.94, -0.99, 2.89, -1.04),
        (9.53, -0.58, 4.61, -1.26),
        (3.96, -1.45, 3.50, -1.19),
        (2.67, -1.31, 7.91, -3.03),
        (0.33, -0.20, 2.37, -0.84),
        (18.35, 1.20, 13.98, -8.33),
        (-14.94, -1.96, -8.63, 6.07),
        (-8.13, -2.99, -0.84, 3.85),
        (-0.77, 0.96, -0.74, 0.02),
        (0.35, -0.58, -1.22, -0.12),
        (0.03, -0.25, -0.88, 0.22),
        (3.66, 2.60, 8.25, -3.24),
        (-2.32, -0.11, -2.58, 0.75),
        (-0.21, -1.62, -1.29, 0.65),
        (-2.30, 1.68, -4.85, 2.39),
        (-0.19, 0.34, -1.14, 0.92),
        (-3.27, -6.05, -9.50, 4.58),
        (-11.10, -0.27, -5.42, 1.52),
        (3.41, -0.27, 4.37, -2.66),
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
    of_skewness = (
        *(np.ones_like(part), skewness, error, k_error, spread, excess, tail, part, part * part),
        *(spread * part, spread * spread, excess * tail, excess * excess),
    )
    of_error = (np.ones_like(part), error, spread, excess, tail, part)
    terms = (*(skewness * term for term in of_skewness), *(error * term for term in of_error))
    return np.stack((*terms, k_error, found.users**-0.5))


def widths_of(found: CurveStatistics) -> Widths:
    """Return the number of standard errors by side and curve."""
    correction = np.clip(_COEFFICIENTS.T @ features_of(found), -_MOST_CORRECTED, _MOST_CORRECTED)
    return Widths(*(NORMAL * np.exp(correction)))
