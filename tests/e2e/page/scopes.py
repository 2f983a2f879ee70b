"""Topics as the demo has them: how many users, how large the cut, and where θ is; the rest follows from these."""

import math
import random
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Any

import msgspec

from stream_app.core.messages import ChanceFrom, Cut, Role
from stream_app.serving.api.responses import Influencer, Moment, Standing, Trend

PANE_MS = 900_000
PANES = 96
NOW = 1_772_298_600_000
"""Event time: 2026-02-28 17:10 UTC."""
WINDOW_END = 1_772_298_900_000
FIRST_PANE = WINDOW_END - PANES * PANE_MS
VERSION = "265156d800d0"
_NORMAL = NormalDist()
_POINTS = 160


@dataclass
class Scope:
    """A topic and role whose values are log-normal, which makes a Lorenz curve like those of the demo."""

    topic: str
    role: Role
    users: int
    k: int
    threshold: int
    emerging: list[Influencer]
    population: str = "all"
    names: str = "u{:05d}"
    diffuse: bool = False
    least: int = 1
    """The least evidence for a flag."""
    error: float = 0.0
    """The part of k and θ by which the intervals extend to both sides; 0 where none is known."""

    @property
    def with_evidence(self) -> int:
        """Users with at least so much."""
        return sum(self.value(rank) >= self.least for rank in range(1, self.users + 1))

    @property
    def _at_cut(self) -> float:
        return _NORMAL.inv_cdf(1 - self.k / (self.users + 1))

    @property
    def _sigma(self) -> float:
        return self._at_cut - _NORMAL.inv_cdf(0.2)

    @property
    def total(self) -> int:
        """Sum of all values."""
        mean = math.exp(math.log(self.threshold) - self._sigma * self._at_cut + self._sigma**2 / 2)
        return round(self.users * mean)

    def value(self, rank: int) -> int:
        """What the user of this rank has made."""
        z = _NORMAL.inv_cdf(1 - rank / (self.users + 1))
        return max(1, round(self.threshold * math.exp(self._sigma * (z - self._at_cut))))

    def cut(self) -> Cut:
        """The present cut."""
        return Cut(
            topic=self.topic,
            population=self.population,
            role=self.role,
            users=self.users,
            total=self.total,
            k=self.k,
            threshold=self.threshold,
            ties=1,
            coverage=0.8004,
            percent_of_users=100 * self.k / self.users,
            percent_of_population=100 * self.k / 20_000,
            gini=2 * _NORMAL.cdf(self._sigma / math.sqrt(2)) - 1,
            diffuse=self.diffuse,
            exact=True,
            flagged=0 if self.diffuse else round(self.k * 1.08),
            emerging=len(self.emerging),
            share=0.8,
            window_start=FIRST_PANE,
            window_end=WINDOW_END,
            computed_at=NOW,
            settings_version=VERSION,
            **self._intervals(),
        )

    def _intervals(self) -> dict[str, Any]:
        if not self.error:
            return {}
        sides = (("low", 1 - self.error), ("high", 1 + self.error))
        k = {f"k_{side}": round(self.k * part) for side, part in sides}
        percent = {f"percent_of_users_{side}": 100 * k[f"k_{side}"] / self.users for side, _ in sides}
        return k | percent | {f"threshold_{side}": round(self.threshold * part) for side, part in sides}

    def points(self) -> list[tuple[float, float]]:
        """The Lorenz curve, from the highest value down, through the cut."""
        cut = self.k / self.users
        parts = sorted({10 ** (-4 * (1 - i / _POINTS)) for i in range(_POINTS)} | {cut})
        inner = [(part, 0.8004 if part == cut else self._made_by(part)) for part in parts if part < 1]
        return [(0.0, 0.0), *inner, (1.0, 1.0)]

    def _made_by(self, part: float) -> float:
        return 1 - _NORMAL.cdf(_NORMAL.inv_cdf(1 - part) - self._sigma)

    def moments(self) -> list[Moment]:
        """A day in which the cut wandered to where it is."""
        chance = random.Random(f"{self.topic}{self.role}")
        percent, threshold = 100 * self.k / self.users, float(self.threshold)
        found = []
        for i in range(PANES):
            found.append(self._moment(WINDOW_END - i * PANE_MS, percent, round(threshold)))
            percent *= 1 + chance.gauss(0.0025, 0.012)
            threshold *= 1 - abs(chance.gauss(0.002, 0.003))
        return found[::-1]

    def _moment(self, end: int, percent: float, threshold: int) -> Moment:
        return Moment(
            window_end=end,
            users=self.users,
            total=self.total,
            k=round(percent * self.users / 100),
            threshold=threshold,
            coverage=0.8,
            percent_of_users=percent,
            gini=0.88,
            flagged=self.k,
            emerging=len(self.emerging),
            k_low=None,
            k_high=None,
            percent_of_users_low=None,
            percent_of_users_high=None,
            threshold_low=None,
            threshold_high=None,
        )

    def members(self, count: int) -> list[Influencer]:
        """Everybody in the order of the page: the emerging ones, then the highest values."""
        return [*self.emerging, *(self._member(rank) for rank in range(1, min(count, self.users) + 1))]

    def _member(self, rank: int) -> Influencer:
        chance = random.Random(f"{self.topic}{self.role}{rank}")
        value, name = self.value(rank), self.names.format(rank * 7_919 % 20_011)
        falls, rises = chance.random() < 0.16, chance.random() < 0.14
        standing: Standing = "none" if self.diffuse or rank > self.k else "entered"
        if standing == "entered" and value < self.least:
            standing = "none"
        if standing == "none" and rank > self.k and not self.diffuse and value >= 0.8 * self.threshold:
            standing = "fading"
        found = influencer(
            name, value, self.total, rank=rank, standing=standing, burst=0.25 if falls else 2.6 if rises else 1.0
        )
        return msgspec.structs.replace(found, borderline=abs(value / self.threshold - 1) < self.error)


def influencer(
    user_id: str,
    value: int,
    total: int,
    *,
    rank: int,
    standing: Standing = "entered",
    z: float | None = None,
    eta_s: float | None = None,
    burst: float = 1.0,
    chance: float | None = None,
) -> Influencer:
    """A user whose last hour is `burst` times as busy as the rest."""
    panes = spread(user_id, value, burst)
    short, long = sum(panes[-4:]), sum(panes[:-4]) / 23
    trend: Trend = "rising" if burst > 2 else "falling" if burst < 0.5 else "steady"
    return Influencer(
        user_id=user_id,
        rank=rank,
        value=value,
        share=value / total,
        standing=standing,
        borderline=False,
        trend=trend,
        short_rate=short,
        long_rate=long,
        rate_error=max(1.0, short**0.5 * 12),
        z=z if z is not None else (2.4 if burst > 2 else -2.2 if burst < 0.5 else 0.3),
        events=7.4,
        eta_s=eta_s,
        chance=chance,
        chance_flags=None if chance is None else 431,
        chance_from=None if chance is None else ChanceFrom.OWN,
        panes=panes,
    )


def spread(seed: str, value: int, burst: float) -> list[int]:
    """A value as panes that add up to it: a day with a night in it, in bursts."""
    chance = random.Random(seed)
    weights = []
    for i in range(PANES):
        day = 1.1 + math.sin((i - 30) / PANES * 2 * math.pi)
        busy = 0.0 if chance.random() < 0.3 else chance.lognormvariate(0, 0.8)
        weights.append(day * busy * (burst if i >= PANES - 4 else 1.0))
    weights[-1] += 0.1 * burst
    total = sum(weights)
    reached = [round(value * part / total) for part in accumulate(weights)]
    return [after - before for before, after in pairwise([0, *reached])]


def demo_scopes() -> list[Scope]:
    """The five products of the demo, and all of them, at 17:10 of its day."""
    found = []
    for topic, role, users, k, threshold in (
        ("*", Role.CONNECTOR, 16_148, 1_512, 10_360),
        ("*", Role.MAVEN, 13_179, 2_774, 9),
        ("phone", Role.CONNECTOR, 15_568, 1_225, 10_581),
        ("phone", Role.MAVEN, 12_194, 2_682, 6),
        ("insurance", Role.CONNECTOR, 900, 394, 2_131),
        ("insurance", Role.MAVEN, 900, 500, 6),
        ("coffee", Role.CONNECTOR, 769, 135, 6_765),
        ("coffee", Role.MAVEN, 762, 204, 17),
        ("running-shoes", Role.CONNECTOR, 657, 86, 11_271),
        ("running-shoes", Role.MAVEN, 647, 137, 24),
        ("console", Role.CONNECTOR, 341, 11, 44_889),
        ("console", Role.MAVEN, 313, 34, 41),
    ):
        scope = Scope(topic, role, users, k, threshold, [], diffuse=topic == "insurance")
        found.append(replace(scope, emerging=_emerging(scope)))
    return found


_RISERS = {
    ("phone", Role.CONNECTOR): (
        ("riser-01", 3_470, 6_396.0, 4.6, 3_108),
        ("riser-02", 3_156, 9_252.0, 4.4, 3_344),
        ("u19478", 8_181, 14_976.0, 4.6, 1_489),
    ),
    ("*", Role.CONNECTOR): (("riser-01", 3_470, 6_180.0, 4.6, 3_206), ("u19478", 8_181, 14_022.0, 4.6, 1_837)),
    ("console", Role.MAVEN): (("riser-07", 11, 15_240.0, 4.1, 89),),
}


def _emerging(scope: Scope) -> list[Influencer]:
    found = []
    emerging = partial(influencer, standing="emerging", burst=900.0, chance=0.64)
    for user, value, eta_s, z, rank in _RISERS.get((scope.topic, scope.role), ()):
        found.append(emerging(user, value, scope.total, rank=rank, z=z, eta_s=eta_s))
    return found
