"""Synchrony and effective sharers are the same from any number of partitions, in any batches, after any crashes."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from stream_app.core.events.schema import Post, Share
from stream_app.core.signals.facts import Signal, SignalValues
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.stored import signal_log, step_packets
from tests.unit.core.signals.store_group import HOUR_MS, StoreGroup

START_MS = 1_475_280_000_000
USERS = [*(f"pod-{pod}-{one}" for pod in range(2) for one in range(5)), *(f"u{number}" for number in range(30))]
TOPICS = ("x", "y")
DISORDER_MS = SignalLimits().disorder_ms - 1
AUTHORS = ["star", "friend", "pod-author-0", "pod-author-1"]


@pytest.fixture(autouse=True, scope="module")
def everything_is_cut_into_small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_log, "_MUCH", 300)
        patch.setattr(signal_log, "_LEAST", 900)
        patch.setattr(step_packets, "MOST_SHARERS", 3)
        yield


def stream(seed: int = 1) -> list[Post | Share]:
    """Two pods of five, shares of a star by many, and shares of one author by two fans."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, str, str, str]] = []
    for pod in range(2):
        for post in range(6):
            start_ms = int(rng.integers(0, 8 * HOUR_MS))
            for one in range(5):
                jitter_ms = int(rng.integers(0, 12_000))
                rows.append((start_ms + jitter_ms, f"pod-{pod}-{one}", f"pod-author-{pod}", f"pod-{pod}-{post}"))
    for post in range(20):
        start_ms = int(rng.integers(0, 7 * HOUR_MS))
        fans, after_ms = rng.choice(30, 8, replace=False).tolist(), rng.exponential(HOUR_MS / 4, 8).astype(int).tolist()
        rows += [(start_ms + ms, f"u{fan}", "star", f"s{post}") for fan, ms in zip(fans, after_ms, strict=True)]
    for post in range(24):
        rows += [(int(rng.integers(0, 8 * HOUR_MS)), f"u{fan}", "friend", f"f{post}") for fan in range(2)]
    shares = [
        Share(event_id=str(n), ts=START_MS + ms, user_id=user, author_id=author, post_id=post, topics=TOPICS[: n % 3])
        for n, (ms, user, author, post) in enumerate(rows)
    ]
    posts = [Post(event_id="p", ts=START_MS + hour * HOUR_MS, user_id="star") for hour in (0, 9)]
    return sorted([*shares, *posts], key=lambda event: event.ts)


def numbers(group: StoreGroup) -> dict[str, list[list[float]]]:
    """All that is known of everybody."""
    found = {user: group.measured(user) for user in [*USERS, *AUTHORS]}
    return {
        user: [column.tolist() for one in measured for column in (one.values, one.events, *one.numbers.values())]
        for user, measured in found.items()
    }


def of(group: StoreGroup, user: str, signal: Signal) -> SignalValues:
    return next(one for one in group.measured(user) if one.name is signal)


@pytest.mark.parametrize("partitions", [1, 3])
def test_pods_are_marked_and_nobody_else_wherever_they_are(partitions: int) -> None:
    group = StoreGroup(partitions, stream(), 1)
    group.run()
    marked = {user for user in USERS if of(group, user, Signal.SYNCHRONY).is_marked[0]}
    assert marked == {user for user in USERS if user.startswith("pod")}


def test_shares_that_few_people_made_are_counted_as_they_are() -> None:
    events = stream()
    group = StoreGroup(3, events, 1)
    group.run()
    for author in AUTHORS:
        shared = Counter(one.user_id for one in events if isinstance(one, Share) and one.author_id == author)
        n, squares = sum(shared.values()), sum(count**2 for count in shared.values())
        found = of(group, author, Signal.EFFECTIVE_SHARERS)
        assert (found.events[0], found.numbers["sharers"][0]) == (n, len(shared))
        assert found.numbers["effective_sharers"][0] == pytest.approx(n**2 / squares)
        assert found.is_marked[0] == (n >= 20 and n**2 / squares < 0.3 * n)
    assert of(group, "friend", Signal.EFFECTIVE_SHARERS).is_marked[0]


@pytest.mark.parametrize("seed", range(6))
def test_crashes_at_any_write_change_nothing(seed: int) -> None:
    expected = StoreGroup(1, stream(seed), 1)
    expected.run()
    group = StoreGroup(3, stream(seed), seed)
    group.run(crash=0.15)
    assert group.crashes > 10
    np.testing.assert_equal(numbers(group), numbers(expected))


@pytest.mark.parametrize("seed", range(4))
def test_new_owners_that_know_less_than_was_said_read_the_rest_as_if_nothing_had_happened(seed: int) -> None:
    expected = StoreGroup(1, stream(seed), 1)
    expected.run()
    group = StoreGroup(3, stream(seed), seed, delay_ms=DISORDER_MS)
    group.run(crash=0.15)
    assert group.knew_less > 0
    assert not any(store.signals.signals.late for store in group.stores)
    np.testing.assert_equal(numbers(group), numbers(expected))


def test_a_new_owner_knows_what_the_log_says() -> None:
    group = StoreGroup(2, stream(), 3)
    group.run(crash=0.05)
    before = numbers(group)
    for number in range(2):
        group.stores[number] = group.opened(number, 99)
    np.testing.assert_equal(numbers(group), before)
