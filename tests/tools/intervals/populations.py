"""Populations of which the true cut is known, to draw the users of a window from."""

from collections.abc import Callable
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Draw = Callable[[Generator, int], Floats]

SHARE = 0.8
_SCALE = 1e6
"""Of values that are no counts: rounding them to integers changes nothing."""
_LARGEST = 1e16
_MANY = 3_000_000


class Population(NamedTuple):
    """Users to draw from, and the cut of all of them."""

    family: str
    draw: Draw
    part: float
    """Of the users, that make the share."""
    threshold: float

    def values(self, rng: Generator, samples: int, users: int) -> Ints:
        """Draw the values of some users, many times; by sample, the highest first."""
        drawn = np.ceil(np.clip(self.draw(rng, samples * users), 1e-9, _LARGEST)).astype(np.int64)
        return -np.sort(-drawn.reshape(samples, users), axis=1)


def log_normal(sigma: float) -> Population:
    """The logarithm of the values is normal."""
    normal = NormalDist()
    at = sigma - normal.inv_cdf(SHARE)
    return Population(
        "log-normal",
        lambda rng, size: _SCALE * rng.lognormal(0.0, sigma, size),
        normal.cdf(-at),
        float(_SCALE * np.exp(sigma * at)),
    )


def pareto(exponent: float) -> Population:
    """A power law from its first value on: at 1.16, 20 % of the users make 80 %."""
    part = SHARE ** (exponent / (exponent - 1.0))
    return Population(
        "Pareto",
        lambda rng, size: _SCALE * (1.0 - rng.random(size)) ** (-1.0 / exponent),
        part,
        float(_SCALE * part ** (-1.0 / exponent)),
    )


def lomax(exponent: float) -> Population:
    """A power law for large values, which begins at zero."""

    def share_above(at: float) -> float:
        return float(exponent * at ** (1.0 - exponent) - (exponent - 1.0) * at**-exponent)

    low, high = 1.0, 1e15
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if share_above(middle) > SHARE else (low, middle)
    return Population(
        "Lomax",
        lambda rng, size: _SCALE * ((1.0 - rng.random(size)) ** (-1.0 / exponent) - 1.0),
        low**-exponent,
        _SCALE * (low - 1.0),
    )


def gamma(shape: float) -> Population:
    """Values with a light tail."""
    return _by_drawing("gamma", lambda rng, size: _SCALE * rng.gamma(shape, 1.0, size))


def weibull(shape: float) -> Population:
    """Values with a tail between those of gamma and log-normal."""
    return _by_drawing("Weibull", lambda rng, size: _SCALE * rng.weibull(shape, size))


def frechet(exponent: float) -> Population:
    """A power law for large values, and hardly any small ones."""
    return _by_drawing("Fréchet", lambda rng, size: _SCALE * rng.exponential(1.0, size) ** (-1.0 / exponent))


def double_pareto(sigma: float, exponent: float) -> Population:
    """Log-normal users, with a power law for large values."""
    return _by_drawing(
        "double Pareto",
        lambda rng, size: _SCALE * rng.lognormal(0.0, sigma, size) * (1.0 - rng.random(size)) ** (-1.0 / exponent),
    )


@cache
def zipf(exponent: float) -> Population:
    """Posts with a power law."""
    return _by_drawing("counts", lambda rng, size: rng.zipf(exponent, size).astype(np.float64))


def mixture(sigma: float, of_others: float, larger: float, others: float) -> Population:
    """Log-normal users, and a few `others`, who are so many times e larger."""

    def draw(rng: Generator, size: int) -> Floats:
        is_other = rng.random(size) < others
        logs = rng.normal(0.0, np.where(is_other, of_others, sigma))
        return _SCALE * np.exp(logs + larger * is_other)

    return _by_drawing("mixture", draw)


@cache
def negative_binomial(shape: float, mean: float) -> Population:
    """Posts of those who have any, with gamma distributed rates."""
    return _by_drawing("counts", _active(lambda rng, size: rng.poisson(rng.gamma(shape, mean / shape, size))))


@cache
def poisson_log_normal(sigma: float, median: float) -> Population:
    """Posts of those who have any, with log-normal rates."""

    def draw(rng: Generator, size: int) -> Ints:
        return rng.poisson(np.minimum(median * rng.lognormal(0.0, sigma, size), 1e15))

    return _by_drawing("counts", _active(draw))


def _active(draw: Callable[[Generator, int], Ints]) -> Draw:
    """Draw until there are enough users with a value."""

    def enough(rng: Generator, size: int) -> Floats:
        found = np.empty(0, np.int64)
        while len(found) < size:
            values = draw(rng, size + 64)
            found = np.concatenate([found, values[values > 0]])
        return found[:size].astype(np.float64)

    return enough


def _by_drawing(family: str, draw: Draw) -> Population:
    """Find the true cut from very many users."""
    values = np.sort(draw(np.random.default_rng(1), _MANY))[::-1]
    reached = np.cumsum(values)
    threshold = float(values[np.searchsorted(reached, SHARE * reached[-1])])
    above = values[values > threshold]
    part = (len(above) + (SHARE * reached[-1] - above.sum()) / threshold) / _MANY
    return Population(family, draw, float(part), threshold)
