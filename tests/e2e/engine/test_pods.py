"""Planted pods are marked by real workers, with one and with two of which one is killed, as by one partition alone."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Post, Share
from stream_app.core.signals.facts import Signal, SignalValues
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from stream_app.until import until
from tests.e2e.api.asking import addresses, asked
from tests.servers.changelogs import restored
from tests.servers.tracker import following, tracker, variables
from tests.tools.signals.plants import POD, Pods
from tests.tools.signals.streams import of_crowds
from tests.unit.core.signals.store_group import HOUR_MS, StoreGroup
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

START_MS, SPAN_MS, CLOCKS = 1_475_280_000_000, 18 * HOUR_MS, 40
PODS = Pods(pods=20, accounts=10, posts=12, part=0.8, jitter_s=20.0)
WAIT_S = 90.0


class Known(NamedTuple):
    """What a signal says about people, in their order."""

    marked: list[bool]
    events: list[int]
    numbers: dict[str, list[float]]


def crowd_with_pods() -> list[Share]:
    """Posts that go round, for less than the window, and the shares of the pods."""
    crowd = [one for one in of_crowds(5, authors=40, posts=150, users=3000, days=1) if one.ts_ms < SPAN_MS]
    return [
        Share(
            event_id=one.event,
            ts=START_MS + one.ts_ms,
            user_id=one.user,
            author_id=one.author,
            post_id=one.post,
            audience=100,
        )
        for one in sorted([*crowd, *PODS.planted(crowd, 1)])
    ]


def recorded(shares: list[Share]) -> list[RecordedEvent]:
    """The shares, and three hours later posts of others in all partitions."""
    last_ms = START_MS + SPAN_MS + 3 * HOUR_MS
    clocks = [Post(event_id="c", ts=last_ms, user_id=f"clock-{number}", audience=1) for number in range(CLOCKS)]
    events: list[Post | Share] = [*shares, *clocks]
    return [
        RecordedEvent(isinstance(one, Share), str(one.user_id).encode(), msgspec.json.encode(one), _ts_ms(one))
        for one in events
    ]


def _ts_ms(event: Post | Share) -> int:
    assert isinstance(event.ts, int)
    return event.ts


def known(measured: list[SignalValues], signal: Signal) -> Known:
    (found,) = (one for one in measured if one.name is signal)
    numbers = {name: column.tolist() for name, column in found.numbers.items()}
    return Known(found.is_marked.tolist(), found.events.tolist(), numbers)


def by_one_partition(shares: list[Share], users: list[str], signal: Signal) -> Known:
    """What the core knows if all is in one partition and nothing happens to it."""
    group = StoreGroup(1, shares, 1)
    group.run()
    (store,) = group.stores
    return known(store.signals.measured(users, store.ledger.event_key), signal)


def by_workers(settings: Settings, users: list[str], signal: Signal) -> Known:
    """What the log of the workers knows, of each in their partition."""
    stores, homes = restored(settings), partitions_of([user.encode() for user in users], settings.partitions)
    found: dict[str, tuple[Any, ...]] = {}
    for store in stores:
        theirs = [users[place] for place in np.flatnonzero(homes == store.partition).tolist()]
        one = known(store.signals.measured(theirs, store.ledger.event_key), signal)
        found |= dict(zip(theirs, zip(one.marked, one.events, *one.numbers.values(), strict=True), strict=True))
        names = [*one.numbers]
    marked, events, *numbers = map(list, zip(*(found[user] for user in users), strict=True))
    return Known(marked, events, dict(zip(names, numbers, strict=True)))


@pytest.mark.parametrize("workers", [1, 2])
def test_pods_are_marked_and_hardly_anybody_else(embedded_brokers: str, tmp_path: Path, workers: int) -> None:
    shares = crowd_with_pods()
    events, users = recorded(shares), sorted({str(one.user_id) for one in shares})
    authors = [f"{POD}-author-{pod}" for pod in range(PODS.pods)]
    expected = by_one_partition(shares, users, Signal.SYNCHRONY)
    half = len(events) // 2
    given = {"partitions": "4", "min_users": "1", "batch_events": "500"}
    with tracker(variables(embedded_brokers, f"pods-{workers}", **given), tmp_path, workers) as run:
        s = run.settings
        with following(run, s.curves_topic) as follower:
            replay(events[:half], s.brokers, s)
            follower.until_read(half // 2, WAIT_S)
            if workers > 1:
                run.workers[0].kill()
                run.start()
            replay(events[half:], s.brokers, s)
            follower.until_read(len(events), WAIT_S)
        found = until(lambda: by_workers(s, users, Signal.SYNCHRONY), WAIT_S, is_done=lambda one: one == expected)
        few = by_workers(s, authors, Signal.EFFECTIVE_SHARERS)
        where = addresses(run)[-1]

        def signals_of(user: str) -> list[str]:
            return [fact["name"] for fact in asked(where, "/users/why", id=user)["place"]["now"]["signals"]]

        assert eventually(lambda: "synchrony" in signals_of(f"{POD}-0-0"), WAIT_S)
    assert found == expected
    is_pod = [user.startswith(POD) for user in users]
    assert sum(is_pod) == PODS.pods * PODS.accounts
    assert all(marked for marked, one in zip(found.marked, is_pod, strict=True) if one)
    assert sum(marked for marked, one in zip(found.marked, is_pod, strict=True) if not one) <= 0.01 * len(users)
    assert few.marked == [True] * PODS.pods
    assert few.events == [PODS.posts * round(PODS.part * PODS.accounts)] * PODS.pods
