"""The Lorenz curve of a scope and role as points to draw, computed from the same cells as its cut."""

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.cuts.histogram import Cells

_STEPS = 80
"""Points are at most 1/80 of either axis apart, if the cells are fine enough."""

Points = list[tuple[float, float]]
"""(fraction of the users, fraction of the total they make up), from the highest value down."""


def lorenz(cells: Cells) -> Points:
    """Return points from (0, 0) to (1, 1) from merged `cells` of one curve; empty if there are no users."""
    if not len(cells.values):
        return []
    users, totals = np.cumsum(cells.users), np.cumsum(cells.totals)
    x, y = np.append(0.0, users / users[-1]), np.append(0.0, totals / totals[-1])
    kept = np.unique(np.concatenate([_spread(x), _spread(y)]))
    return list(zip(np.round(x[kept], 6).tolist(), np.round(y[kept], 6).tolist(), strict=True))


def _spread(rising: Floats) -> Ints:
    """Return the indices of about _STEPS evenly spread values, the first and the last included."""
    return np.minimum(np.searchsorted(rising, np.linspace(0.0, 1.0, _STEPS + 1)), len(rising) - 1)
