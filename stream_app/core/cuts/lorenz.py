"""The Lorenz curve of a topic and role as points to draw, from the cells that its cut is computed from."""

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.cuts.histogram import Cells

_STEPS = 80
"""Points are at most this part of an axis apart, where the cells allow: along either axis."""

Points = list[tuple[float, float]]
"""(part of the users, part of the total they make), from the highest value down."""


def lorenz(cells: Cells) -> Points:
    """From (0, 0) to (1, 1), by merged `cells` of one curve; empty where nobody has a value."""
    if not len(cells.values):
        return []
    users, totals = np.cumsum(cells.users), np.cumsum(cells.totals)
    x, y = np.append(0.0, users / users[-1]), np.append(0.0, totals / totals[-1])
    kept = np.unique(np.concatenate([_spread(x), _spread(y)]))
    return list(zip(np.round(x[kept], 6).tolist(), np.round(y[kept], 6).tolist(), strict=True))


def _spread(rising: Floats) -> Ints:
    """The places of about _STEPS values that are evenly spread, the first and the last among them."""
    return np.minimum(np.searchsorted(rising, np.linspace(0.0, 1.0, _STEPS + 1)), len(rising) - 1)
