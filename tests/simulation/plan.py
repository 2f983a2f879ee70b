"""What one seed decides before a run begins: sizes, settings, and which faults there will be."""

import random
from dataclasses import dataclass
from typing import Literal

from stream_app.settings import Settings

PANE_S, PANES = 60, 8
DWELL_S = 20
SESSION_S = 2.0


Zombies = Literal["none", "counts", "all"]
"""What there is of workers that go on after the group has given them up: none of them; runs in which only the counts
are checked, not what they publish besides; or runs in which everything is, as in those without."""


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    settings: Settings
    workers: int
    users: int
    faults: tuple[str, ...]
    """Kinds of faults that happen in this run."""
    fault_every_s: float
    active_s: float
    """How long there are faults and events."""
    records_a_batch: int
    """Records after which a batch of the producer is full."""
    most_entries: int
    most_deltas: int
    strict: bool
    """Whether standings, flags, cuts and published statuses are checked as well."""


HARMLESS = (
    *(
        "kill",
        "kill all",
        "kill in few steps",
        "kill in few steps",
        "add",
        "leave",
        "rebalance",
        *["rebalance twice"] * 2,
        "visit",
    ),
    *("group forgotten", "lose a write"),
)
"""After these everything must be right. Twice: twice as likely."""
ZOMBIES = ("freeze", "freeze in few steps", "cut off")
BACKGROUND = ("compact", "slow broker")


def plan_of(seed: int, zombies: Zombies = "all") -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan {seed}")
    partitions = rng.choice((1, 2, 2, 3))
    has_zombies = rng.random() < 0.5 and zombies != "none"
    retention = not has_zombies and rng.random() < 0.15
    settings = Settings(
        partitions=partitions,
        window_s=PANE_S * PANES,
        pane_s=PANE_S,
        short_s=2 * PANE_S,
        dwell_s=DWELL_S,
        min_users=4,
        min_posts=2,
        min_impressions=50,
        diffuse_fraction=0.7,
        emerging_events=2.0,
        emerging_z=2.0,
        funnel_gap_s=random.Random(f"gap {seed}").choice((45.0, 300.0, 900.0)),
        step_s=1.0,  # a slot: those of production, 5 minutes, are most of the window here
        session_timeout_s=SESSION_S,
        batch_events=rng.choice((1, 5, 20, 1000)),
        tick_s=rng.choice((0.2, 0.5, 1.0)),
    )
    kinds = [*HARMLESS, *BACKGROUND, *(ZOMBIES * 2 if has_zombies else ()), *(("retention",) if retention else ())]
    return Plan(
        seed=seed,
        settings=settings,
        workers=rng.choice((1, 2, 2, 3)),
        users=rng.choice((8, 14, 25)),
        faults=tuple(kinds),
        fault_every_s=rng.choice((0.4, 0.8, 1.5, 3.0, 100.0)),
        active_s=rng.uniform(4.0, 14.0),
        records_a_batch=rng.choice((1, 5, 1000, 1000)),
        most_entries=rng.choice((3, 20, 8000, 8000)),
        most_deltas=rng.choice((3, 8, 256)),
        strict=zombies == "all" or not has_zombies,
    )
