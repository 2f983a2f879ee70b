"""Fits the coefficients of stream_app/core/cuts/interval_width.py: `python -m tests.tools.intervals.calibrate [CELLS]`.

Samples of all populations are drawn. For each side of an interval the width is computed that would just have reached
the truth, and its logarithm is fitted by quantile regression, so that 2.5 % of all samples would have needed more.
All kinds of populations and sizes count alike, and then those more that miss more often, for a mean over all kinds is
nobody's topic.
"""

import sys
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from stream_app.core.cuts.cut import cuts_of
from stream_app.core.cuts.cut_interval import statistics_of
from stream_app.core.cuts.interval_width import NORMAL, CurveStatistics, Widths, features_of
from tests.tools.intervals import populations as of
from tests.tools.intervals.coverage import cells_of_samples
from tests.tools.intervals.populations import SHARE, Floats, Ints, Mask, Population

_USERS = (20, 50, 150, 500, 2_000, 8_000, 25_000)
_PER_POPULATION = 8
_FEWEST, _MOST = 3, 80
"""Populations drawn of each kind."""
_MISSED = 0.025
_QUANTILE = 0.972
"""Less than 97.5 %: what is missed most weighs more, which makes the intervals of others wider."""
_LEAST_WIDTH = 0.05
_BLUR = 0.03
_WEIGHTED = 4


class _Samples(NamedTuple):
    features: Floats
    needed: Floats
    """By side and sample: how many standard errors would have been enough."""
    kinds: Ints
    """Populations of one kind, and number of users: by class."""
    are_counts: Mask


def needed(values: Ints, found: CurveStatistics, true: Population) -> Widths:
    """Return the widths that would just have reached the truth."""
    error = np.log(true.part * found.users / found.head) / found.k_error
    total, largest = values.sum(axis=1, dtype=np.float64), values[:, 0].astype(np.float64)
    odds = np.log(SHARE / (1.0 - SHARE))
    beyond = np.log(largest / np.maximum(total - largest, 1e-12 * total)) - np.log(true.threshold / largest)
    sides = []
    for counted in (values >= true.threshold, values > true.threshold):
        above = (values * counted).sum(axis=1, dtype=np.float64)
        log_odds = np.log(np.maximum(above, 1e-300) / np.maximum(total - above, 1e-12 * total))
        sides.append((np.where(above > 0, log_odds, beyond) - odds) / found.error)
    return Widths(k_low=-error, k_high=error, threshold_high=-sides[0], threshold_low=sides[1])


def draw_samples(rng: Generator, cells: int) -> _Samples:
    """Draw samples of populations and sizes by chance, of each kind about as many as make so many cells."""
    rows, kind = [], 0
    for populations in _populations(rng):
        for size in _USERS:
            for _ in range(min(max(cells // size // _PER_POPULATION, _FEWEST), _MOST)):
                true = populations[rng.integers(len(populations))]
                values = true.values(rng, _PER_POPULATION, int(size * np.exp(rng.uniform(-0.5, 0.5))))
                curves = cells_of_samples(values)
                found = statistics_of(curves, cuts_of(curves, SHARE), SHARE)
                kinds = np.full(_PER_POPULATION, kind)
                are_counts = np.full(_PER_POPULATION, true.family == "counts")
                rows.append((features_of(found), np.stack(needed(values, found, true)), kinds, are_counts))
            kind += 1
    features, widths, kinds, are_counts = (np.concatenate(columns, axis=-1) for columns in zip(*rows, strict=True))
    are_known = np.isfinite(widths).all(axis=0)
    return _Samples(features[:, are_known], widths[:, are_known], kinds[are_known], are_counts[are_known])


def _populations(rng: Generator) -> list[list[Population]]:
    """Return populations by kind."""
    others = [(1.0, 1.0, 3.0, 0.05), (1.0, 1.5, 2.0, 0.2), (1.5, 1.0, 4.0, 0.02), (0.7, 2.0, 2.0, 0.3)]
    shapes = [(0.2, 4.0), (0.4, 2.0), (0.4, 10.0), (1.0, 2.0), (1.0, 8.0), (2.0, 4.0), (3.0, 15.0)]
    sigmas = ((0.6, 1.2), (1.2, 1.8), (1.8, 2.2), (2.2, 2.6), (2.6, 2.9))
    pareto_tails = ((0.2, 0.4), (0.4, 0.6), (0.6, 0.75), (0.75, 0.83), (0.83, 0.875))
    lomax_tails = ((0.1, 0.5), (0.5, 0.75), (0.75, 0.86))
    return [
        [of.gamma(shape) for shape in (0.25, 0.4, 0.7, 1.0, 1.8)],
        [of.weibull(shape) for shape in (0.35, 0.45, 0.7, 1.1)],
        [of.negative_binomial(*shape) for shape in shapes],
        [of.poisson_log_normal(sigma, median) for sigma in (0.8, 1.2, 1.6, 2.0, 2.4) for median in (1.0, 3.0)],
        [of.mixture(*size) for size in others],
        *([of.log_normal(sigma) for sigma in rng.uniform(*sides, 40)] for sides in sigmas),
        *([of.pareto(1.0 / tail) for tail in rng.uniform(*sides, 40)] for sides in pareto_tails),
        *([of.lomax(1.0 / tail) for tail in rng.uniform(*sides, 40)] for sides in lomax_tails),
    ]


def quantile_regression(features: Floats, wanted: Floats, weights: Floats, start: Floats) -> Floats:
    """Return the coefficients of the quantile: by majorising with parabolas (Hunter and Lange 2000)."""
    scale = features.std(axis=1)
    scaled, found = features / scale[:, None], start * scale
    for _ in range(60):
        steep = weights / (_BLUR + np.abs(wanted - found @ scaled))
        side = scaled @ (steep * wanted + (2.0 * _QUANTILE - 1.0) * weights)
        found = np.linalg.solve((scaled * steep) @ scaled.T + 1e-9 * weights.sum() * np.eye(len(scale)), side)
    coefficients: Floats = found / scale
    return coefficients


def fit(samples: _Samples, side: int) -> Floats:
    """Return the coefficients of one side."""
    chosen = ~samples.are_counts if side >= 2 else np.ones(len(samples.kinds), np.bool_)  # θ of counts is a step
    wanted = np.log(np.maximum(samples.needed[side, chosen], _LEAST_WIDTH) / NORMAL)
    features = samples.features[:, chosen]
    _, kinds, sizes = np.unique(samples.kinds[chosen], return_inverse=True, return_counts=True)
    weight = 1.0 / sizes
    found = np.zeros(len(features))
    for _ in range(_WEIGHTED):
        found = quantile_regression(features, wanted, weight[kinds] / weight[kinds].mean(), found)
        missed = np.bincount(kinds, wanted > found @ features) / sizes
        weight *= np.clip((missed + 0.004) / (_MISSED + 0.004), 0.8, 2.0) ** 0.6
    worst = np.sort(missed)[-5:].round(3)
    print(f"{Widths._fields[side]}: {missed.mean():.4f} missed, of the worst kinds {worst}", file=sys.stderr)
    return found


def main() -> None:
    """Print the coefficients, by term and side."""
    samples = draw_samples(np.random.default_rng(7), int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000)
    print(f"{len(samples.kinds)} samples", file=sys.stderr)
    coefficients = np.stack([fit(samples, side) for side in range(len(Widths._fields))], axis=1)
    for term in coefficients:
        print("        (" + ", ".join(f"{number:.2f}" for number in term) + "),")


if __name__ == "__main__":
    main()
