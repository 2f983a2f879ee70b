"""The demo stream: its truth holds for the records as delivered, counted here in the plainest way from their JSON."""

import json
from collections import Counter
from functools import cache
from itertools import islice, pairwise

import pytest

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post, Share
from stream_app.core.messages import ALL_TOPICS, OWN_ROLES, ROLES, Role
from stream_app.demo.generator.activity import TrueCut
from stream_app.demo.generator.days import further_days
from stream_app.demo.generator.population import BEFORE_MS, END_MS, FEWEST_USERS, PRODUCTS, Demo, demo_population
from stream_app.demo.generator.quantiles import lognormal_slices, whole_numbers
from stream_app.demo.generator.risers import PLANS, Riser
from tests.naive import ms_of

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PANE_MS = 15 * 60_000

Counted = tuple[int, str, frozenset[str], int, int]
"""Time, user, topics, posts and impressions of an event."""


@cache
def demo(users: int = 2000) -> Demo:
    return demo_population(users=users)


@cache
def counted(users: int = 2000) -> list[Counted]:
    """What counts of the stream: readable, with the right key and clock, the first delivery of each, not too late."""
    seen: set[str] = set()
    found = []
    newest_ms = 0
    for record in demo(users).events:
        if not decode([record.value], Share if record.share else Post, 65_536).events:
            continue
        event = json.loads(record.value)
        if event["user_id"].encode() != record.key or event["ts"] > END_MS or event["event_id"] in seen:
            continue
        newest_ms = max(newest_ms, event["ts"])
        if event["ts"] < newest_ms - DAY_MS - PANE_MS:
            continue
        seen.add(event["event_id"])
        topics = frozenset({topic.strip().lower() for topic in event["topics"]} | {ALL_TOPICS})
        found.append((event["ts"], event["user_id"], topics, int(not record.share), max(event.get("audience") or 0, 0)))
    return found


def values(topic: str, role: Role, now_ms: int, users: int = 2000) -> Counter[str]:
    start_ms = now_ms - now_ms % PANE_MS + PANE_MS - DAY_MS
    sums: Counter[str] = Counter()
    for ts, user, topics, posts, impressions in counted(users):
        if start_ms <= ts <= now_ms and topic in topics:
            sums[user] += posts if role is Role.MAVEN else impressions
    return +sums


def cut(made: Counter[str]) -> tuple[int, int]:
    """k and the threshold."""
    total, reached = sum(made.values()), 0
    for k, (_, value) in enumerate(made.most_common(), 1):
        reached += value
        if reached * 10 >= total * 8:
            return k, value
    raise AssertionError("nobody made anything")


def true_cut(topic: str, role: Role, users: int = 2000) -> TrueCut:
    return next(cut for cut in demo(users).truth.cuts if (cut.topic, cut.role) == (topic, role))


def test_the_stream_is_the_same_for_the_same_seed() -> None:
    assert demo_population(users=1000) == demo_population(users=1000)
    assert demo_population(users=1000).events != demo_population(seed=8, users=1000).events


@pytest.mark.parametrize("users", [1000, 2000, 20_000])
def test_the_main_product_shows_the_published_proportions_at_any_size(users: int) -> None:
    assert true_cut("phone", Role.CONNECTOR, users).percent_of_population == pytest.approx(6.2, abs=0.5)
    assert true_cut("phone", Role.MAVEN, users).percent_of_population == pytest.approx(13.4, abs=0.5)


def test_the_full_stream_is_of_the_size_promised() -> None:
    assert 150_000 < len(demo(20_000).events) < 250_000
    assert demo(20_000).population_size == 20_000
    assert demo(20_000).window_end_ms == END_MS


@pytest.mark.parametrize("topic", [ALL_TOPICS, *(product.name for product in PRODUCTS)])
@pytest.mark.parametrize("role", ROLES[:OWN_ROLES])
def test_the_true_cuts_are_those_of_the_delivered_records(topic: str, role: Role) -> None:
    made = values(topic, role, END_MS - 1)
    true = true_cut(topic, role)
    assert (true.users, true.total) == (len(made), sum(made.values()))
    assert (true.k, true.threshold) == cut(made)
    assert true.percent_of_users == 100 * true.k / len(made)
    assert true.percent_of_population == 100 * true.k / 2000


def test_the_products_differ_clearly_and_one_is_diffuse() -> None:
    percents = {(cut.topic, cut.role): cut.percent_of_users for cut in demo(20_000).truth.cuts}
    diffuse = {key for key, percent in percents.items() if percent > 100 / 3}
    assert diffuse == {("insurance", role) for role in ROLES[:OWN_ROLES]}
    connectors = sorted(percents[product.name, Role.CONNECTOR] for product in PRODUCTS)
    assert all(more > 1.2 * less for less, more in pairwise(connectors))


def test_every_record_is_applied_duplicate_late_or_rejected() -> None:
    tally = demo().truth.tally
    assert tally.read == len(demo().events)
    assert tally.read == tally.applied + tally.duplicate + tally.late + tally.rejected
    assert tally.applied == len(counted())
    assert min(tally) > 0


def test_the_stream_arrives_nearly_in_order() -> None:
    times = [ts for ts, *_ in counted()]
    behind = [newest - ts for ts, newest in zip(times, _running_max(times), strict=True)]
    assert min(times) >= END_MS - DAY_MS - BEFORE_MS
    assert max(times) < END_MS
    assert HOUR_MS < max(behind) < 4 * HOUR_MS
    assert 0 < sorted(behind)[len(behind) // 2] < 60_000


def _running_max(times: list[int]) -> list[int]:
    newest = 0
    return [newest := max(newest, ts) for ts in times]


def test_as_many_risers_are_planted_as_planned() -> None:
    risers = demo().truth.risers
    assert len({riser.user_id for riser in risers}) == len(PLANS) == 12
    assert [(riser.topic, riser.role) for riser in risers] == [(plan.topic, plan.role) for plan in PLANS]


@pytest.mark.parametrize("riser", demo().truth.risers, ids=lambda riser: riser.user_id)
def test_a_riser_is_quiet_then_takes_off_and_crosses_when_the_truth_says(riser: Riser) -> None:
    own = sorted(ts for ts, user, *_ in counted() if user == riser.user_id)
    assert sum(ts < riser.onset_ms for ts in own) == 2
    assert riser.onset_ms + HOUR_MS < riser.crossing_ms < END_MS - HOUR_MS
    assert sum(riser.onset_ms <= ts < riser.crossing_ms for ts in own) > 8
    before = max(ts for ts in own if ts < riser.crossing_ms)
    made, made_before = (values(riser.topic, riser.role, ts) for ts in (riser.crossing_ms, before))
    assert made[riser.user_id] >= cut(made)[1]
    assert made_before[riser.user_id] < cut(made_before)[1]


def test_the_decoys_are_one_burst_and_one_steady_user() -> None:
    viral, steady = demo().truth.decoys
    assert values("phone", Role.CONNECTOR, END_MS - 1)[viral] > true_cut("phone", Role.CONNECTOR).threshold
    assert [user for _, user, *_ in counted()].count(viral) == 1
    by_hour = Counter((END_MS - 1 - ts) // HOUR_MS for ts, user, *_ in counted() if user == steady)
    assert set(by_hour.values()) == {12}
    assert len(by_hour) == (DAY_MS + BEFORE_MS) // HOUR_MS


def test_too_few_users_are_refused() -> None:
    with pytest.raises(ValueError, match="needs at least 1000 users"):
        demo_population(users=999)


@pytest.mark.parametrize(("sigma", "percent"), [(2.380, 6.2), (1.949, 13.4)])
def test_the_slices_of_the_published_distributions_have_the_published_proportions(sigma: float, percent: float) -> None:
    slices = lognormal_slices(10_000, sigma)
    assert slices.mean() == pytest.approx(1)
    assert slices[-round(100 * percent) :].sum() / 10_000 == pytest.approx(0.8, abs=0.001)


def test_whole_numbers_keep_the_sum_and_stay_close() -> None:
    amounts = lognormal_slices(1000, 1.5) * 0.3
    numbers = whole_numbers(amounts)
    assert numbers.min() == 0
    assert numbers.sum() == 300
    assert abs(numbers - amounts).max() <= 1


def test_the_days_after_the_demo_are_new_events_that_follow_it() -> None:
    events = list(islice(further_days(FEWEST_USERS), 15_000))
    ids, populations, first_ms = [], set(), 0
    for event in events:
        decoded = decode([event.value], Share if event.share else Post, 65_536).events
        for found in decoded:
            assert ms_of(found) == event.ts_ms
            ids.append(found.event_id)
            populations.add(found.population)
            first_ms = min(first_ms or event.ts_ms, event.ts_ms)
    once = set(ids)
    assert len(ids) > 0.99 * len(events)
    assert len(ids) - len(once) <= demo(FEWEST_USERS).truth.tally.duplicate, "what is delivered twice comes twice"
    assert first_ms >= END_MS
    assert populations == {"all", "employee"}
