"""Fits the coefficients of stream_app/core/cuts/interval_width.py: `python -m tests.tools.intervals.calibrate`.

Samples of all populations are drawn. For each side of an interval the width is computed that would just have reached
the truth, and its logarithm is fitted by quantile regression, so that 2.5 % of all samples would have needed more.
Kinds of samples that miss more often get more weight, for a mean over all kinds is nobody's topic.
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

_USERS = (14, 40_000)
_MOST_CELLS = 400_000
_PER_POPULATION = 8
_MISSED = 0.025
_QUANTILE = 0.968
"""Less than 97.5 %: what is missed most weighs more, which makes the intervals of others wider."""
_LEAST_WIDTH = 0.05
_BLUR = 0.03
_WEIGHTED = 3
_PARTS = (0.01, 0.025, 0.05, 0.1, 0.21, 0.35, 0.5)
_SIZES = (30, 80, 300, 1500, 8000)


class _Samples(NamedTuple):
    features: Floats
    needed: Floats
    """By side and sample: how many standard errors would have been enough."""
    kinds: Ints
    """Family, part of the users that make the share, and number of users: by class."""
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


def draw_samples(rng: Generator, batches: int) -> _Samples:
    """Draw samples of populations and sizes by chance."""
    populations, chances = _populations(rng)
    families = sorted({true.family for true in populations})
    rows = []
    for _ in range(batches):
        users = int(np.exp(rng.uniform(*np.log(_USERS))))
        number = max(1, min(40, _MOST_CELLS // users // _PER_POPULATION))
        for place in rng.choice(len(chances), number, p=chances):
            true = populations[place]
            values = true.values(rng, _PER_POPULATION, users)
            cells = cells_of_samples(values)
            found = statistics_of(cells, cuts_of(cells, SHARE), SHARE)
            family, part = families.index(true.family), int(np.searchsorted(_PARTS, true.part))
            kinds = np.full(_PER_POPULATION, (family * 8 + part) * 6 + int(np.searchsorted(_SIZES, users)))
            are_counts = np.full(_PER_POPULATION, true.family == "counts")
            rows.append((features_of(found), np.stack(needed(values, found, true)), kinds, are_counts))
    features, widths, kinds, are_counts = (np.concatenate(columns, axis=-1) for columns in zip(*rows, strict=True))
    are_known = np.isfinite(widths).all(axis=0)
    return _Samples(features[:, are_known], widths[:, are_known], kinds[are_known], are_counts[are_known])


def _populations(rng: Generator) -> tuple[list[Population], Floats]:
    """Return the populations, and how often each is drawn."""
    others = [(1.0, 1.0, 3.0, 0.05), (1.0, 1.5, 2.0, 0.2), (1.5, 1.0, 4.0, 0.02), (0.7, 2.0, 2.0, 0.3)]
    shapes = [(0.2, 4.0), (0.4, 2.0), (0.4, 10.0), (1.0, 2.0), (1.0, 8.0), (2.0, 4.0), (3.0, 15.0)]
    once = [
        *(of.gamma(shape) for shape in (0.25, 0.5, 1.0, 1.8)),
        *(of.weibull(shape) for shape in (0.35, 0.5, 0.7, 1.1)),
        *(of.negative_binomial(*shape) for shape in shapes),
        *(of.poisson_log_normal(sigma, median) for sigma in (0.8, 1.2, 1.6, 2.0, 2.4) for median in (1.0, 3.0)),
        *(of.mixture(*size) for size in others),
    ]
    drawn = [
        *(of.log_normal(sigma) for sigma in rng.uniform(0.6, 2.88, 900)),
        *(of.pareto(1.0 / tail) for tail in rng.uniform(0.2, 0.866, 400)),
        *(of.lomax(1.0 / tail) for tail in rng.uniform(0.1, 0.85, 240)),
    ]
    often = np.array([1.0] * len(drawn) + [18.0] * len(once))
    return [*drawn, *once], often / often.sum()


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
    weight = np.sqrt(np.minimum(sizes, 2000.0)) / sizes * (sizes >= 60)
    found = np.zeros(len(features))
    for _ in range(_WEIGHTED):
        found = quantile_regression(features, wanted, weight[kinds] / weight[kinds].mean(), found)
        missed = np.bincount(kinds, wanted > found @ features) / sizes
        weight *= np.clip((missed + 0.002) / (_MISSED + 0.002), 0.9, 2.0) ** 0.6
    worst = np.sort(missed)[-5:].round(3)
    print(f"{Widths._fields[side]}: {missed.mean():.4f} missed, of the worst kinds {worst}", file=sys.stderr)
    return found


def main() -> None:
    """Print the coefficients, by term and side."""
    samples = draw_samples(np.random.default_rng(7), int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(f"{len(samples.kinds)} samples", file=sys.stderr)
    coefficients = np.stack([fit(samples, side) for side in range(len(Widths._fields))], axis=1)
    for term in coefficients:
        print("        (" + ", ".join(f"{number:.2f}" for number in term) + "),")


if __name__ == "__main__":
    main()
