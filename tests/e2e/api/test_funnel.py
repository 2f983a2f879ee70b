"""The funnel that real workers answer: the naive model's, the same from each of them, also after one was killed."""

import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from stream_app.settings import Settings
from stream_app.until import until
from tests.e2e.api.asking import addresses, asked
from tests.e2e.engine.test_retractions import Sent, produce
from tests.servers.tracker import Tracker, tracker, variables
from tests.unit.core.funnel.naive_funnel import DAY_MS, Action, NaiveScope, naive_funnel

HOUR_MS = 3_600_000
DAY = 17_600
GAP_MS, HORIZON_MS = 12 * HOUR_MS, 6 * HOUR_MS
EVENTS, PEOPLE, DAYS = 3_000, 400, 3
WAIT_S = 90.0

pytestmark = pytest.mark.timeout(300)


def actions() -> list[Action]:
    """Posts and shares of three days, in order; two thirds name an author, some of them whom it came through."""
    rng = random.Random(5)
    times = sorted(DAY * DAY_MS + rng.randrange(DAYS * DAY_MS) for _ in range(EVENTS))
    found = []
    for number, ts_ms in enumerate(times):
        user, author, via = (f"u{int(PEOPLE * rng.random() ** power)}" for power in (1, 3, 2))
        topics = ("coffee",) if number % 3 else ()
        if rng.random() < 2 / 3:
            via_or_none = via if rng.random() < 1 / 4 else None
            post = f"p{rng.randrange(300)}"
            found.append(Action(str(number), ts_ms, user, True, author, via_or_none, post, rng.randrange(900), topics))
        else:
            found.append(Action(str(number), ts_ms, user, impressions=rng.randrange(900), topics=topics))
    return found


def records(settings: Settings, events: list[Action]) -> Iterator[Sent]:
    """The events, and then one of other people in each partition, two days later: it ends the panes."""
    posts, shares = settings.input_topics
    for event in events:
        value = {
            "event_id": event.event_id,
            "ts": event.ts_ms,
            "user_id": event.user,
            "impressions": event.impressions,
            "topics": list(event.topics),
        }
        if event.is_share:
            value |= {"kind": "share", "author_id": event.author, "via_id": event.via, "post_id": event.post}
        yield Sent(event.ts_ms, shares if event.is_share else posts, event.user, json.dumps(value).encode())
    end_ms = (DAY + DAYS + 1) * DAY_MS
    for number in range(40):
        value = {"event_id": f"clock-{number}", "ts": end_ms, "user_id": f"clock-{number}", "population": "clocks"}
        yield Sent(end_ms, posts, f"clock-{number}", json.dumps(value).encode())


def expected(naive: NaiveScope) -> dict[str, Any]:
    """Stages and cohorts as the API says them."""
    names = ("new", "re_entered", "recruited", "self_started", "unknown", "participants", "advocates", "recruiters")
    stages = dict(zip(names, naive.stages(), strict=True))
    cohorts = []
    for day in range(DAYS):
        people, recruits = naive.cohort(DAY + day, HORIZON_MS)
        cohorts.append({"people": people, "recruits": recruits, "r": round(recruits / people, 4) if people else None})
    k = round(stages["recruited"] / stages["participants"], 4)
    return {"entries": len(naive.entries), **stages, "k": k, "cohorts": [one for one in cohorts if one["people"]]}


def answered(where: str, topic: str) -> dict[str, Any]:
    """What a worker says of a topic, and which partitions are missing."""
    found = asked(where, "/funnel", topic=topic)
    stages = found["stages"] or {"cohorts": []}
    cohorts = [{name: value for name, value in one.items() if name != "day"} for one in stages["cohorts"]]
    return {**stages, "cohorts": cohorts, "missing": found["missing_partitions"], "reached": found["reached"]}


def brought_in(where: str, user: str, topic: str) -> list[tuple[str, int, bool, int]]:
    """Whom a worker says that a user brought in: name, time, whether it is new, and how many these brought."""
    found = asked(where, "/users/recruits", id=user, topic=topic, limit=500)
    assert (found["total"], found["missing_partitions"]) == (len(found["recruits"]), [])
    return [(one["user_id"], one["entered"], one["is_new"], one["brought_in"]) for one in found["recruits"]]


def test_every_worker_says_the_funnel_of_all_partitions(embedded_brokers: str, tmp_path: Path) -> None:
    times = {"window_s": "10d", "pane_s": "1h", "short_s": "2h", "step_s": "1h", "tick_s": "200ms"}
    spans = {"funnel_gap_s": f"{GAP_MS}ms", "funnel_horizon_s": f"{HORIZON_MS}ms"}
    environment = variables(embedded_brokers, "funnel-api", partitions="4", batch_events="300", **times, **spans)
    events = actions()
    naive = naive_funnel(events, GAP_MS, 10 * DAY_MS)
    with tracker(environment, tmp_path, 2) as run:
        sent = list(records(run.settings, events))
        produce(run, sent[: len(sent) // 2])
        until(lambda: answered(addresses(run)[0], "*").get("entries", 0) > 0, WAIT_S)
        run.workers[0].kill()
        run.start()
        produce(run, sent[len(sent) // 2 :])
        for topic in ("*", "coffee"):
            _agree(run, topic, naive, sum(event.impressions for event in events if topic in event.scopes))
        nobody = asked(addresses(run)[0], "/funnel", topic="tea")
        assert (nobody["stages"], nobody["reached"], nobody["missing_partitions"]) == (None, 0, [])


def _agree(run: Tracker, topic: str, naive: dict[str, NaiveScope], reached: int) -> None:
    wanted = {**expected(naive[topic]), "missing": [], "reached": reached}
    for where in addresses(run):
        assert until(lambda where=where: answered(where, topic), WAIT_S, is_done=wanted.__eq__) == wanted  # type: ignore[misc]
    recruits = naive[topic].recruits()
    for (user, _), where in product(recruits.most_common(3), addresses(run)):
        entries = [entry for entry in naive[topic].entries if entry.recruiter == user]
        theirs = [(one.event.user, one.event.ts_ms, one.is_new, recruits[one.event.user]) for one in entries]
        assert brought_in(where, user, topic) == sorted(theirs, key=lambda one: (-one[1], one[0]))
