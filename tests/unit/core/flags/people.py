"""People to whom the rules are applied: by default somebody far below θ, with whom nothing is happening."""

from typing import NamedTuple

import numpy as np

from stream_app.core.flags.ranking import RANKED
from stream_app.core.flags.standing import NONE, Facts, StandingRules

R = StandingRules()
FLOOR = 5
NOW_S = 1_475_280_000
LONG_AGO_S = NOW_S - round(R.dwell_s)


class User(NamedTuple):
    """The facts about one user."""

    standing: int = NONE
    value: int = 50
    threshold: int = 100
    ties: int = 1
    ranking: int = RANKED
    is_newly_ranked: bool = False
    is_active: bool = True
    z: float = 0.0
    moments: float = 10.0
    eta_s: float = np.inf
    below_since_s: int = 0


RISING = User(z=3.0, moments=5.0, eta_s=14_400.0)
SOON = User(value=60, moments=1.0, eta_s=3_600.0)


def facts_of(user: User) -> Facts:
    """The facts as columns of one row."""
    return Facts(
        standing=np.array([user.standing], np.uint8),
        value=np.array([user.value]),
        threshold=np.array([user.threshold]),
        ties=np.array([user.ties]),
        ranking=np.array([user.ranking], np.uint8),
        is_newly_ranked=np.array([user.is_newly_ranked]),
        is_active=np.array([user.is_active]),
        z=np.array([user.z]),
        moments=np.array([user.moments]),
        eta_s=np.array([user.eta_s]),
        below_since_s=np.array([user.below_since_s]),
    )
