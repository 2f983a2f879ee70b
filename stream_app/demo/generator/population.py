"""The demo stream: a population whose true answers are known, because it is made from them.

The people of a product have its posts and impressions in the proportions of a log-normal distribution: person i of N
gets the mean of the i-th of N equal slices. With σ = 2.380 the top 6.2 % make 80 %, with σ = 1.949 the top 13.4 %
(1 − Φ(σ + Φ⁻¹(0.2))): the published figures for impressions and posts. They are proportions of a population, not of
those who were active on one day. So the main product, "phone", spreads over the whole stated population, and those
whose slice is less than a post mostly have none. The other products have fewer people and other proportions,
"insurance" such even ones that it is diffuse. "*" is all of them together and follows no formula. Whatever the
formulas, the truth of every product and of "*" is counted from the events as generated.
"""

import math
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.demo.generator.activity import (
    HOUR_MS,
    UNKNOWN,
    WINDOW_MS,
    Activity,
    TrueCut,
    joined,
    true_cuts,
    window_end_ms,
)
from stream_app.demo.generator.delivery import Tally, delivered
from stream_app.demo.generator.quantiles import lognormal_slices, whole_numbers
from stream_app.demo.generator.risers import DECOYS, Riser, as_planted, planted, riser_ids
from stream_app.sources.recorded_event import RecordedEvent

END_MS = 1_772_323_200_000
"""2026-03-01T00:00Z: every event is before it, and the last window ends there."""
BEFORE_MS = 6 * HOUR_MS
"""How long the stream runs before the last window begins."""
FEWEST_USERS = 1000

_SHARES_PER_POST = 0.25
_LIKENESS = 0.7
"""Correlation of the ranks by posts and by impressions: who posts much is often, not always, who reaches many."""
_DAY_SWING = 0.4
_BUSIEST_HOUR = 20
_UNKNOWN_AUDIENCES = 400


class Product(NamedTuple):
    """What people talk about, and how unevenly. Means are per person and day."""

    name: str
    people: float
    """As a part of the population."""
    impressions_sigma: float
    posts_sigma: float
    impressions_mean: float
    posts_mean: float


PRODUCTS = (
    Product("phone", 1.0, 2.380, 1.949, 4800, 4.7),
    Product("console", 0.02, 2.8, 2.2, 12_000, 25),
    Product("running-shoes", 0.035, 2.0, 1.7, 8000, 23),
    Product("coffee", 0.04, 1.8, 1.5, 6000, 19),
    Product("insurance", 0.045, 1.0, 0.7, 3000, 9),
)


class _Made(NamedTuple):
    """The posts, shares and impressions of each person of a product in a span: columns of equal length."""

    posts: Ints
    shares: Ints
    impressions: Ints


class Truth(NamedTuple):
    """What a tracker of a 24 h window in panes of 15 min should find."""

    cuts: list[TrueCut]
    """As of the end of the stream; the first two are those of "*"."""
    risers: list[Riser]
    decoys: tuple[str, ...]
    """Users who look as if they were emerging, and must not be flagged."""
    tally: Tally


class Demo(NamedTuple):
    """The demo stream with its truth."""

    events: list[RecordedEvent]
    """In order of arrival."""
    truth: Truth
    window_end_ms: int
    population_size: int
    """The stated size of the population `all`."""


def demo_population(seed: int = 7, users: int = 20_000) -> Demo:
    """The same demo stream for the same arguments; `users` is the size of the population, at least FEWEST_USERS.

    It has about 11 events per person over 30 h. Raises ValueError.
    """
    if users < FEWEST_USERS:
        raise ValueError(f"a demo population needs at least {FEWEST_USERS} users to show its proportions, not {users}")
    rng = np.random.default_rng(seed)
    products = [product.name for product in PRODUCTS]
    base = joined([_of_product(number, product, users, rng) for number, product in enumerate(PRODUCTS)])
    base = joined([base, _without_audience(base, rng)])
    whole = joined([base, planted(base, products, users, END_MS - WINDOW_MS - BEFORE_MS, END_MS, rng)])
    events, tally = delivered(whole, [f"u{user:05}" for user in range(users)] + riser_ids() + [*DECOYS], products, rng)
    last_ms = int(whole.ts_ms.max())
    cuts = true_cuts(whole, products, last_ms, users)
    truth = Truth(cuts, as_planted(whole, products, users, END_MS), DECOYS, tally)
    return Demo(events, truth, window_end_ms(last_ms), users)


def _of_product(topic: int, product: Product, population: int, rng: np.random.Generator) -> Activity:
    """What the people of one product do: in the last window exactly their share of it, before as much by chance."""
    size = round(product.people * population)
    people = rng.choice(population, size, replace=False)
    by_posts, by_impressions = _ranks(size, rng)
    likely_posts = product.posts_mean * lognormal_slices(size, product.posts_sigma)
    posts = whole_numbers(likely_posts)[by_posts]
    shares = rng.poisson(_SHARES_PER_POST * likely_posts[by_posts])
    # Reach needs at least one event: users in the upper two thirds by impressions who never post get a share.
    shares += (posts + shares == 0) & (by_impressions >= size // 3)
    people_reached = whole_numbers(product.impressions_mean * lognormal_slices(size, product.impressions_sigma))
    impressions = people_reached[by_impressions]
    audience = impressions // np.maximum(posts + shares, 1)
    earlier_posts, earlier_shares = (rng.poisson(counts * BEFORE_MS / WINDOW_MS) for counts in (posts, shares))
    earlier = _Made(earlier_posts, earlier_shares, audience * (earlier_posts + earlier_shares))
    start_ms = END_MS - WINDOW_MS
    return joined(
        [
            _spread(topic, people, earlier, (start_ms - BEFORE_MS, start_ms), rng),
            _spread(topic, people, _Made(posts, shares, impressions), (start_ms, END_MS), rng),
        ]
    )


def _ranks(size: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """The rank of each person, from 0, by posts and by impressions."""
    first, other = rng.standard_normal((2, size))
    second = _LIKENESS * first + math.sqrt(1 - _LIKENESS**2) * other
    return np.argsort(np.argsort(first)), np.argsort(np.argsort(second))


def _spread(topic: int, people: Ints, made: _Made, span_ms: tuple[int, int], rng: np.random.Generator) -> Activity:
    """The events in which the people made what they made, at random times of day and night."""
    events = made.posts + made.shares
    size = int(events.sum())
    owner = np.repeat(np.arange(len(people)), events)
    place = np.arange(size) - np.repeat(np.cumsum(events) - events, events)
    reach, of = made.impressions[owner], events[owner]
    return Activity(
        users=people[owner],
        topics=np.full(size, topic),
        ts_ms=_times(size, span_ms, rng),
        shares=place >= made.posts[owner],
        # Nearly the same audience each time, together exactly the impressions.
        audiences=reach * (place + 1) // of - reach * place // of,
    )


def _times(size: int, span_ms: tuple[int, int], rng: np.random.Generator) -> Ints:
    """Random times in the span, more of them in the evening than in the morning."""
    edges = np.arange(*span_ms, 60_000)
    hours = edges % (24 * HOUR_MS) / HOUR_MS
    busy = np.cumsum(1 + _DAY_SWING * np.cos(2 * np.pi * (hours - _BUSIEST_HOUR) / 24))
    times: Ints = np.interp(rng.random(size) * busy[-1], [0, *busy], [*edges, span_ms[1]]).astype(np.int64)
    return times


def _without_audience(base: Activity, rng: np.random.Generator) -> Activity:
    """A few more posts like existing ones, with an unknown audience."""
    likes = rng.choice(len(base.ts_ms), min(_UNKNOWN_AUDIENCES, len(base.ts_ms)), replace=False)
    return base.take(likes)._replace(shares=np.zeros(len(likes), np.bool_), audiences=np.full(len(likes), UNKNOWN))
