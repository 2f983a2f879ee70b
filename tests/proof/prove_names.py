"""Names without end: invented topics and populations, users with long names, under load."""

import time
from collections.abc import Iterator
from itertools import count as numbers
from pathlib import Path

import numpy as np
import pytest

from stream_app.kafka.topics import changelogs_of
from tests.proof.contents import START_MS, Contents, Recipe, Record, home_of, made
from tests.proof.crew import asked
from tests.proof.prove_kills import PATIENCE_S
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import Stage, stage
from tests.proof.verifier import everything, ledger_totals

pytestmark = pytest.mark.timeout(900)

MOST_MB = 512.0
TOPICS = 400_000
USERS = 8_000
POPULATIONS = 3_000
_PER_EVENT = 8
_EVENT = '{"event_id":"i%d","ts":%d,"user_id":"%s","topics":[%s],"audience":1,"population":"%s"}'


@pytest.mark.alone
@pytest.mark.promise(20)
def test_invented_names_fill_no_memory_and_lose_no_event(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    good = made(Recipe(scale.events // 2, seed=20))
    hostile = list(invented())
    records = mixed(good.records, hostile)
    given = Contents(records, {**good.results, "applied": len(records)}, good.totals, [], good.newest_ms)
    with stage(brokers, "names", tmp_path, given, 1, None) as on:
        on.until(lambda: on.crew.members[0].has_said("took over"), "partitions", PATIENCE_S)
        began_s = time.monotonic()
        on.feed(len(records) / scale.load_s)
        on.until(lambda: on.read() >= len(records), "everything counted", PATIENCE_S)
        counted_s = time.monotonic() - began_s
        proof.figure(invented=TOPICS, counted_s=counted_s, names_mb=on.crew.peak_rss_mb)
        on.during(5)
        on.until(lambda: asked(on.crew.members[0], "/livez")[0] == 200, "alive", 30)
        check_accounts(on, proof, good, len(hostile))
        proof.figure(names_mb=on.crew.peak_rss_mb)
        assert on.crew.peak_rss_mb <= MOST_MB
        assert not on.crew.endings


def check_accounts(on: Stage, proof: Proof, good: Contents, hostile: int) -> None:
    """Every event is counted in a `*`; what users of known topics made is exact; the limits are seen."""
    read = {name: on.seen.total(name) for name in on.contents.results}
    assert read == dict(on.contents.results), on.state()
    totals = ledger_totals(on.run.settings, everything(on.run.settings, changelogs_of(on.run.settings)[0]))
    wrong = {key: (totals.get(key), made) for key, made in good.totals.items() if totals.get(key) != made}
    lost = sum(made[0] - (found or (0, 0))[0] for found, made in wrong.values())
    in_window = sum(posts for (topic, user), (posts, _) in totals.items() if topic == "*" and user.startswith("long"))
    proof.figure(events=len(on.contents.records), lost=lost + hostile - in_window, twice=0)
    assert not wrong, list(wrong.items())[:5]
    assert in_window == hostile
    assert 'influence_bound_hits_total{bound="max_scopes"}' in asked(on.crew.members[0], "/metrics")[1]


def invented() -> Iterator[Record]:
    """Posts of users with names of 256 bytes, all in the last hour of the window."""
    users = [f"long{number}-".ljust(64, "\U0001f600")[:64] for number in range(USERS)]
    users = [user.encode()[:256].decode(errors="ignore") for user in users]
    homes = [home_of(user.encode()) for user in users]
    ts_ms = START_MS + 35 * 3_600_000
    for number, first in zip(numbers(), range(0, TOPICS, _PER_EVENT), strict=False):
        user = number % USERS
        topics = ",".join(f'"t{topic}"' for topic in range(first, first + _PER_EVENT))
        population = f"p{number % POPULATIONS}" if number % 2 else "all"
        value = _EVENT % (number, ts_ms + number % 1000, users[user], topics, population)
        yield Record(False, homes[user], users[user].encode(), value.encode())


def mixed(good: list[Record], hostile: list[Record]) -> list[Record]:
    """The hostile records among the last half of the good ones, all in their order."""
    half = len(good) // 2
    places = np.sort(np.random.default_rng(20).integers(half, len(good), len(hostile))).tolist()
    found, taken = good[:half], half
    for place, record in zip(places, hostile, strict=True):
        found += good[taken:place]
        found.append(record)
        taken = place
    return found + good[taken:]
