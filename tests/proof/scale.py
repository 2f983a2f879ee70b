"""How much of everything a proof takes: a few minutes in all, or as much as the promises say."""

from typing import NamedTuple


class Scale(NamedTuple):
    """Sizes and times of the proofs."""

    events: int
    """Records of the proofs under load."""
    load_s: float
    """How long they flow."""
    kill_every_s: float
    terms: int
    """SIGTERMs."""
    down_s: float
    """How long Kafka is away."""
    redis_down_s: float
    stall_s: float
    """After which a worker that stands still says so."""
    flood_s: float
    rows: int
    """Of the large state."""
    days: int
    """Of rotating users, in event time."""


QUICK = Scale(
    events=200_000,
    load_s=30.0,
    kill_every_s=5.0,
    terms=4,
    down_s=15.0,
    redis_down_s=10.0,
    stall_s=6.0,
    flood_s=10.0,
    rows=200_000,
    days=10,
)
FULL = Scale(
    events=1_000_000,
    load_s=120.0,
    kill_every_s=5.0,
    terms=20,
    down_s=60.0,
    redis_down_s=120.0,
    stall_s=20.0,
    flood_s=60.0,
    rows=1_000_000,
    days=60,
)
