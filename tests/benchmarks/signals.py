"""The signals of inflation in one process: µs for an event and bytes for a person, without Kafka.

`python -m tests.benchmarks.signals [--people N] [--events N] [--batch N] [--json]`: a day of events of one partition,
counted in batches; two of three are shares of posts, of which a few have most. People are as unequal as elsewhere.
"""

import json
import time
from typing import NamedTuple

import click
import numpy as np

from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.pair_counts import paired
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.step_evidence import added_up
from stream_app.core.signals.synchrony import CreditedShares

_DAY_MS = 86_400_000
_ASKED = 10_000


class SignalCost(NamedTuple):
    """What the signals cost."""

    people: int
    """Those with an event."""
    events: int
    own_us: float
    """CPU for an own event: gaps, hours, audiences, pairs."""
    credited_us: float
    """CPU for a credited share: judging its trial, adding that up."""
    measured_us: float
    """CPU for all that is known of a person, of many at once."""
    bytes_per_person: float
    """In memory at the end of the day."""
    stored_bytes_per_person: float


def measured(people: int, events: int, batch: int) -> SignalCost:
    """Count a day of events."""
    rng = np.random.default_rng(1)
    ts_ms = np.sort(rng.integers(0, _DAY_MS, events)) + 1_475_280_000_000
    users = _someone(people, events, rng)
    is_share = rng.random(events) < 2 / 3
    posts = rng.integers(0, 1 + rng.integers(0, max(events // 10, 1), events))
    authors = posts % max(people // 3, 1) + 10**9
    audience = rng.integers(10, 10_000, people)
    own = OwnEvents(
        ts_ms,
        users.astype(np.uint64) + np.uint64(1),
        rng.integers(0, 2**63, events).astype(np.uint64),
        np.where(is_share, authors, 0).astype(np.uint64),
        np.where(is_share, posts + 1, 0).astype(np.uint64),
        audience[users],
        audience[users],
    )
    part = PartitionSignals()
    own_s = credited_s = 0.0
    for start in range(0, events, batch):
        some = OwnEvents._make(column[start : start + batch] for column in own)
        end_ms, begun_s = int(some.ts_ms[-1]), time.process_time()
        part.add_own(some)
        part.own.advance(end_ms)
        counted_s = time.process_time()
        shares = CreditedShares(some.ts_ms, paired(some.authors, some.posts), some.users, np.zeros_like(some.ts_ms))
        part.add_credited(shares.take(some.authors != 0))
        part.add_steps(added_up(part.judge(end_ms)))
        own_s += counted_s - begun_s
        credited_s += time.process_time() - counted_s
    known = np.unique(own.users)
    begun_s = time.process_time()
    part.measured(known[:_ASKED])
    measured_s = time.process_time() - begun_s
    return SignalCost(
        len(known),
        events,
        1e6 * own_s / events,
        1e6 * credited_s / np.count_nonzero(is_share),
        1e6 * measured_s / min(len(known), _ASKED),
        part.nbytes / len(known),
        len(part.encode()) / len(known),
    )


def _someone(people: int, events: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    activity = rng.pareto(1.2, people) + 0.1
    return rng.choice(people, events, p=activity / activity.sum())


@click.command()
@click.option("--people", default=200_000)
@click.option("--events", default=1_000_000)
@click.option("--batch", default=5000)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, events: int, batch: int, *, as_json: bool) -> None:
    """Print what the signals of a day of events in one partition cost."""
    found = measured(people, events, batch)._asdict()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        click.echo(f"{name:<24} {value:,.2f}" if isinstance(value, float) else f"{name:<24} {value:,}")


if __name__ == "__main__":
    main()
