"""Counted credits: credits for what others did as the events that a ledger counts."""

import numpy as np

from stream_app.core.events.credit import Credits
from stream_app.core.funnel.influence_credits import InfluenceCredits


def counted_credits(credits_: InfluenceCredits) -> Credits:
    """Return credits as events, each of just one scope. Their ids take the place of the hashes of events."""
    scopes = [credits_.scope_names[number] for number in credits_.scopes.tolist()]
    none = np.zeros(len(scopes), np.int64)
    return Credits(
        users=credits_.credited,
        hashes=credits_.ids,
        ts_ms=credits_.ts_ms,
        posts=none,
        impressions=none,
        unknown=none > 0,
        topics=[(scope.topic,) for scope in scopes],
        populations=[scope.population for scope in scopes],
        recruits=credits_.recruits,
        amplified=credits_.impressions,
    )
