"""How often the intervals of a cut have the truth inside: `python -m tests.tools.intervals.coverage [CELLS]`.

Users are drawn from populations whose cut is known, many times, and the interval of each sample is held against it.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from stream_app.core.cuts.cut import cuts_of
from stream_app.core.cuts.cut_interval import intervals_of
from stream_app.core.cuts.histogram import Cells
from tests.tools.intervals import populations as of
from tests.tools.intervals.populations import SHARE, Ints, Population

USERS = (20, 50, 100, 300, 1_000, 5_000, 20_000)
_MOST_CELLS = 500_000
"""Computed at once."""
_MOST_SAMPLES = 6_000


class Coverage(NamedTuple):
    """The fraction of the samples with the truth inside the interval."""

    k: float
    threshold: float


def cells_of_samples(values: Ints) -> Cells:
    """Return samples as curves, each user as a cell."""
    samples, users = values.shape
    curves, flat = np.repeat(np.arange(samples), users), values.ravel()
    return Cells(curves, flat, np.ones_like(flat), flat)


def coverage(true: Population, users: int, samples: int, rng: Generator) -> Coverage:
    """Draw so many samples of so many users."""
    found, done = np.zeros(2, np.int64), 0
    k = min(max(true.part * users, 1.0), users)
    while done < samples:
        now = min(samples - done, max(1, _MOST_CELLS // users))
        cells = cells_of_samples(true.values(rng, now, users))
        seen = intervals_of(cells, cuts_of(cells, SHARE), SHARE)
        found[0] += np.count_nonzero((seen.k_low <= k) & (k <= seen.k_high))
        inside = (seen.threshold_low <= true.threshold) & (true.threshold <= seen.threshold_high)
        found[1] += np.count_nonzero(inside)
        done += now
    return Coverage(*(found / samples).tolist())


def everything() -> dict[str, Population]:
    """Return the populations of the table."""
    return {
        **{f"log-normal, σ {sigma}": of.log_normal(sigma) for sigma in (1.0, 1.5, 1.949, 2.38, 2.8)},
        **{f"Pareto, exponent {exponent}": of.pareto(exponent) for exponent in (1.16, 1.3, 1.5, 2.0, 2.5)},
        **{f"Lomax, exponent {exponent}": of.lomax(exponent) for exponent in (1.3, 2.0)},
        "gamma, shape 0.5": of.gamma(0.5),
        "Weibull, shape 0.5": of.weibull(0.5),
        "posts, negative binomial 0.3, mean 3": of.negative_binomial(0.3, 3.0),
        "posts, negative binomial 1, mean 2": of.negative_binomial(1.0, 2.0),
        "posts, Poisson of log-normal, σ 1.0, median 1": of.poisson_log_normal(1.0, 1.0),
        "posts, Poisson of log-normal, σ 1.8, median 2": of.poisson_log_normal(1.8, 2.0),
        # Families on which nothing was fitted:
        "Fréchet, exponent 2": of.frechet(2.0),
        "double Pareto, σ 1, exponent 2": of.double_pareto(1.0, 2.0),
        "posts, Zipf, exponent 3": of.zipf(3.0),
    }


def main() -> None:
    """Print a table: populations by the number of users; samples are as many as make so many cells, 6,000 at most."""
    cells, rng = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000, np.random.default_rng(3)
    print("| k / θ inside, % |" + "".join(f" {users:,} users |" for users in USERS))
    print("| --- |" + " --- |" * len(USERS))
    for name, true in everything().items():
        shown = []
        for users in USERS:
            found = coverage(true, users, min(_MOST_SAMPLES, max(200, cells // users)), rng)
            shown.append(f"{100 * found.k:.1f} / {100 * found.threshold:.1f}")
        print(f"| {name} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
