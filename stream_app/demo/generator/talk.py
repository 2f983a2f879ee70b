"""What people say about one subject: posts and impressions in the proportions of a log-normal distribution."""

import math
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.demo.generator.activity import HOUR_MS, Activity, joined
from stream_app.demo.generator.quantiles import lognormal_slices, whole_numbers

_SHARES_PER_POST = 0.25
_LIKENESS = 0.7
"""Correlation of the ranks by posts and by impressions: who posts much is often, not always, who reaches many."""
_DAY_SWING = 0.4
_BUSIEST_HOUR = 20


class Product(NamedTuple):
    """What people talk about, and how unevenly. Means are per person and window."""

    name: str
    people: float
    """As a part of the population."""
    impressions_sigma: float
    posts_sigma: float
    impressions_mean: float
    posts_mean: float


class Stretch(NamedTuple):
    """The time of a stream: the last window, and what runs before it."""

    end_ms: int
    window_ms: int
    before_ms: int


class _Made(NamedTuple):
    """The posts, shares and impressions of each person of a product in a span: columns of equal length."""

    posts: Ints
    shares: Ints
    impressions: Ints


def talk_of(topic: int, product: Product, people: Ints, span: Stretch, rng: np.random.Generator) -> Activity:
    """What some people say about it: in the last window exactly their share of it, before as much by chance."""
    size = len(people)
    by_posts, by_impressions = _ranks(size, rng)
    likely_posts = product.posts_mean * lognormal_slices(size, product.posts_sigma)
    posts = whole_numbers(likely_posts)[by_posts]
    shares = rng.poisson(_SHARES_PER_POST * likely_posts[by_posts])
    # Reach needs at least one event: users in the upper two thirds by impressions who never post get a share.
    shares += (posts + shares == 0) & (by_impressions >= size // 3)
    people_reached = whole_numbers(product.impressions_mean * lognormal_slices(size, product.impressions_sigma))
    impressions = people_reached[by_impressions]
    audience = impressions // np.maximum(posts + shares, 1)
    earlier_posts, earlier_shares = (
        rng.poisson(counts * span.before_ms / span.window_ms) for counts in (posts, shares)
    )
    earlier = _Made(earlier_posts, earlier_shares, audience * (earlier_posts + earlier_shares))
    start_ms = span.end_ms - span.window_ms
    return joined(
        [
            _spread(topic, people, earlier, (start_ms - span.before_ms, start_ms), rng),
            _spread(topic, people, _Made(posts, shares, impressions), (start_ms, span.end_ms), rng),
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
