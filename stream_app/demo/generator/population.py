"""The demo stream: a population whose true answers are known, because it is made from them.

The people of a product have its posts and impressions in the proportions of a log-normal distribution: person i of N
gets the mean of the i-th of N equal slices. With σ = 2.380 the top 6.2 % make 80 %, with σ = 1.949 the top 13.4 %
(1 − Φ(σ + Φ⁻¹(0.2))): the published figures for impressions and posts. They are proportions of a population, not of
those who were active on one day. So the main product, "phone", spreads over the whole stated population, and those
whose slice is less than a post mostly have none. The other products have fewer people and other proportions,
"insurance" such even ones that it is diffuse. "*" is all of them together and follows no formula. Whatever the
formulas, the truth of every product and of "*" is counted from the events as generated.
"""

from typing import NamedTuple

import numpy as np

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
from stream_app.demo.generator.risers import DECOYS, Riser, as_planted, planted, riser_ids
from stream_app.demo.generator.talk import Product, Stretch, talk_of
from stream_app.sources.recorded_event import RecordedEvent

END_MS = 1_772_323_200_000
"""2026-03-01T00:00Z: every event is before it, and the last window ends there."""
BEFORE_MS = 6 * HOUR_MS
"""How long the stream runs before the last window begins."""
FEWEST_USERS = 1000

_UNKNOWN_AUDIENCES = 400


PRODUCTS = (
    Product("phone", 1.0, 2.380, 1.949, 4800, 4.7),
    Product("console", 0.02, 2.8, 2.2, 12_000, 25),
    Product("running-shoes", 0.035, 2.0, 1.7, 8000, 23),
    Product("coffee", 0.04, 1.8, 1.5, 6000, 19),
    Product("insurance", 0.045, 1.0, 0.7, 3000, 9),
)


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
    span = Stretch(END_MS, WINDOW_MS, BEFORE_MS)
    base = joined([_of_product(number, product, users, span, rng) for number, product in enumerate(PRODUCTS)])
    base = joined([base, _without_audience(base, rng)])
    whole = joined([base, planted(base, products, users, END_MS - WINDOW_MS - BEFORE_MS, END_MS, rng)])
    events, tally = delivered(whole, [f"u{user:05}" for user in range(users)] + riser_ids() + [*DECOYS], products, rng)
    last_ms = int(whole.ts_ms.max())
    cuts = true_cuts(whole, products, last_ms, users)
    truth = Truth(cuts, as_planted(whole, products, users, END_MS), DECOYS, tally)
    return Demo(events, truth, window_end_ms(last_ms), users)


def _of_product(topic: int, product: Product, population: int, span: Stretch, rng: np.random.Generator) -> Activity:
    people = rng.choice(population, round(product.people * population), replace=False)
    return talk_of(topic, product, people, span, rng)


def _without_audience(base: Activity, rng: np.random.Generator) -> Activity:
    """A few more posts like existing ones, with an unknown audience."""
    likes = rng.choice(len(base.ts_ms), min(_UNKNOWN_AUDIENCES, len(base.ts_ms)), replace=False)
    return base.take(likes)._replace(shares=np.zeros(len(likes), np.bool_), audiences=np.full(len(likes), UNKNOWN))
