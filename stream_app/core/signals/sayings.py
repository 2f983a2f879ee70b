"""Facts in words, for people: the numbers, and no verdict on them."""

from collections.abc import Iterable, Mapping

from stream_app.core.signals.facts import Fact, Signal
from stream_app.core.signals.signal_limits import SignalLimits

NAMES: Mapping[Signal, str] = {
    Signal.REGULAR: "regular",
    Signal.ONE_SIDED: "one-sided",
    Signal.EFFECTIVE_SHARERS: "few sharers",
    Signal.SYNCHRONY: "in step",
    Signal.AUDIENCE_JUMP: "audience jump",
    Signal.ALWAYS_ON: "always on",
}


def said(fact: Fact) -> str:
    """Say a fact with its numbers."""
    numbers = fact.numbers.get
    match fact.name:
        case Signal.REGULAR:
            pause = f"{numbers('mean_gap_s', 0.0):,.0f} s"
            words = f"pauses of {pause} ± {100 * fact.value:.0f} % between {fact.events:,} events"
        case Signal.ONE_SIDED:
            posts = f"distinct posts {numbers('distinct_posts', 0.0):,.0f}"
            words = f"{100 * fact.value:.0f} % of {fact.events:,} shares credit one author, {posts}"
        case Signal.EFFECTIVE_SHARERS:
            words = f"{fact.events:,} shares, as if from {numbers('effective_sharers', 0.0):,.0f} people"
        case Signal.SYNCHRONY:
            step = SignalLimits().step_ms // 1000
            expected = f"{numbers('expected', 0.0):,.1f} expected"
            words = f"{numbers('in_step', 0.0):,.0f} of {fact.events:,} shares within {step} s of another, {expected}"
        case Signal.AUDIENCE_JUMP:
            words = f"the audience grew to {fact.value:,.1f} times the one before"
        case Signal.ALWAYS_ON:
            words = f"active in {fact.value:.0f} of 24 hours"
    return f"{NAMES[fact.name]}: {words}"


def all_said(facts: Iterable[Fact]) -> str:
    """Say several facts in one line; empty for none."""
    return "; ".join(map(said, facts))
