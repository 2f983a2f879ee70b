"""The funnel as real workers store it: the exact figures of recorded events, with one worker, several, and a kill."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.core.state.scopes import ScopeName
from stream_app.settings import Settings
from stream_app.until import until
from tests.e2e.engine.test_retractions import Sent, produce
from tests.servers.changelogs import restored
from tests.servers.tracker import following, tracker, variables

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "conferences.jsonl.gz"
DAY_MS = 86_400_000
WAIT_S = 120.0
EVERYBODY = ScopeName(DEFAULT_POPULATION, "*")

pytestmark = [pytest.mark.timeout(400), pytest.mark.skipif(not DATA.exists(), reason="needs ../shared")]


class Known(NamedTuple):
    """What SQL says of the file (../shared/oracle/funnel.py)."""

    sums: FunnelSums
    largest: int
    """The most recruiters who make 80 %."""


WEEK = Known(FunnelSums(1736, 30, 1240, 526, 0, 1736, 0, 260), 89)
DAY = Known(FunnelSums(1736, 526, 1525, 737, 0, 1736, 0, 284), 91)


def records(settings: Settings) -> Iterator[Sent]:
    """The events of the file, and then one of other people in each partition, three days later.

    And others of the same people, each of which is taken back, before it comes or after.
    """
    posts, shares = settings.input_topics
    with gzip.open(DATA, "rb") as file:
        events: list[dict[str, Any]] = list(map(json.loads, file))
    yield from taken_back(settings, events)
    for event in sorted(events, key=lambda event: event["ts"]):
        wanted = {name: value for name, value in event.items() if name not in {"arrival_ts", "subtype", "origin_ts"}}
        topic = shares if event["kind"] == "share" else posts
        yield Sent(event["ts"], topic, event["user_id"], json.dumps(wanted).encode())
    last_ms = max(event["ts"] for event in events) + 3 * DAY_MS
    for number in range(40):
        post = {"event_id": str(number), "ts": last_ms, "user_id": f"clock-{number}", "population": "clocks"}
        yield Sent(last_ms, posts, post["user_id"], json.dumps(post).encode())


def taken_back(settings: Settings, events: list[dict[str, Any]]) -> Iterator[Sent]:
    """Events of the people of the file that are as if they had never been, with what takes them back."""
    rng, (posts, shares) = random.Random(5), settings.input_topics
    last_ms = max(event["ts"] for event in events)
    for number, event in enumerate(rng.sample(events, len(events) // 4)):
        is_share = rng.random() < 0.7
        ts_ms = min(event["ts"] + rng.randrange(-3 * DAY_MS, 3 * DAY_MS), last_ms)
        made = {"event_id": f"gone-{number}", "ts": ts_ms, "user_id": event["user_id"], "topics": event.get("topics")}
        if is_share:
            made |= {"author_id": rng.choice(events)["user_id"], "post_id": f"p{number % 7}", "audience": 9}
        yield Sent(ts_ms, shares if is_share else posts, event["user_id"], json.dumps(made).encode())
        retract = {"kind": "retract", "of": "share" if is_share else "post", "event_id": made["event_id"], "ts": ts_ms}
        value = json.dumps(retract | {"user_id": event["user_id"]}).encode()
        for _ in range(1 + (rng.random() < 0.2)):
            at_ms = ts_ms + rng.choice((-2, 0, 1, 20)) * DAY_MS
            yield Sent(at_ms, settings.retractions_topic, event["user_id"], value)


def figures(stores: list[LedgerStore]) -> Known:
    """The stages of all people, and how many recruiters make 80 %."""
    sums, recruits = FunnelSums(), []
    for store in stores:
        assert store.funnel is not None
        sums = sums.plus(store.funnel.funnel.sums(EVERYBODY)).plus(store.funnel.credited.sums(EVERYBODY))
        recruits += store.funnel.credited.in_scope(EVERYBODY).recruits.tolist()
        _check_rows(store)
    recruits.sort(reverse=True)
    total, run, count = sum(recruits), 0, 0
    while run * 10 < total * 8:
        run, count = run + recruits[count], count + 1
    return Known(sums._replace(advocates=0), count)


def _check_rows(store: LedgerStore) -> None:
    """The ledger has the same recruits as the funnel."""
    assert store.funnel is not None
    rows, number = store.ledger.rows, store.ledger.scopes.find(EVERYBODY)
    in_ledger = rows.values(2)[rows.scopes == number]
    in_funnel = store.funnel.credited.in_scope(EVERYBODY).recruits
    assert sorted(in_ledger[in_ledger > 0].tolist()) == sorted(in_funnel[in_funnel > 0].tolist())


@pytest.mark.parametrize(("workers", "gap", "known"), [(1, "7d", WEEK), (2, "24h", DAY)])
def test_the_figures_of_recorded_events_come_out_of_real_workers(
    embedded_brokers: str, tmp_path: Path, workers: int, gap: str, known: Known
) -> None:
    given = {"window_s": "200d", "pane_s": "1d", "short_s": "1d", "step_s": "1d", "tick_s": "200ms", "partitions": "4"}
    environment = variables(embedded_brokers, f"funnel-{workers}", funnel_gap_s=gap, batch_events="500", **given)
    with tracker(environment, tmp_path, workers) as run, following(run, run.settings.curves_topic) as follower:
        sent = sorted(records(run.settings), key=lambda one: one.at_ms)
        half = len(sent) // 2
        produce(run, sent[:half])
        follower.until_read(half // 2, WAIT_S)
        if workers > 1:
            run.workers[0].kill()
            run.start()
        produce(run, sent[half:])
        seen = follower.until_read(len(sent), WAIT_S)
        found = until(lambda: figures(restored(run.settings)), WAIT_S, is_done=lambda found: found == known)
        assert found == known
        seen = follower.until(
            lambda seen: seen.of_topic(run.settings.credits_topic, "applied") > 0, "credits counted", WAIT_S
        )
    assert seen.total("late") == 0
    assert seen.of_topic(run.settings.retractions_topic, "applied") > 0
    assert seen.regressions == []
