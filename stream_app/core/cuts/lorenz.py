"""The Lorenz curve of a scope and role as points to draw, from the points of its curve."""

import numpy as np

from stream_app.core.arrays import Floats, Ints, distinct_in

_STEPS = 80
"""Points are at most 1/80 of either axis apart, if the cells are fine enough."""

Points = list[tuple[float, float]]
"""(fraction of the users, fraction of the total they make up), from the highest value down."""


def lorenz(points: Ints, users: int, total: int) -> Points:
    """Return points from (0, 0) to (1, 1), given (value, users above, their total) of a curve; empty without users."""
    if not users or not total:
        return []
    x, y = np.append(points[:, 1] / users, 1.0), np.append(points[:, 2] / total, 1.0)
    kept = distinct_in(np.concatenate([_spread(x), _spread(y)]))
    return list(zip(np.round(x[kept], 6).tolist(), np.round(y[kept], 6).tolist(), strict=True))


def _spread(rising: Floats) -> Ints:
    """Return the indices of about _STEPS evenly spread values, the first and the last included."""
    return np.minimum(np.searchsorted(rising, np.linspace(0.0, 1.0, _STEPS + 1)), len(rising) - 1)
