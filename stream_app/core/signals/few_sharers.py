"""Few sharers: whether the shares that credit somebody are spread as those of many people are.

What others' shares do for an author is counted where credits arrive (`core/funnel/credited_people.py`), exactly and in
any order; what is taken back is taken back here too. The window is that of the counts.
"""

import numpy as np

from stream_app.core.funnel.credited_people import Credited
from stream_app.core.funnel.funnel_sums import effective_sharers
from stream_app.core.signals.facts import Signal, SignalValues, quotient
from stream_app.core.signals.signal_limits import SignalLimits


def few_sharers(credited: Credited, limits: SignalLimits) -> SignalValues:
    """Return what it says about people who were credited."""
    effective = effective_sharers(credited.shares, credited.squares)
    part = quotient(effective, credited.shares)
    return SignalValues(
        Signal.EFFECTIVE_SHARERS,
        limits.effective_part,
        part,
        credited.shares,
        (credited.shares >= limits.effective_shares) & (part < limits.effective_part),
        {"effective_sharers": effective, "sharers": credited.sharers.astype(np.float64)},
    )
