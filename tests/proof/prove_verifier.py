"""A broken promise cannot be hidden: the verifier finds what an idiomatic Faust app counts twice when it is killed."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream_app.demo.embedded.process import spawn
from stream_app.kafka import topics
from stream_app.settings import Settings
from tests.proof.contents import Recipe, Totals, made
from tests.proof.feeder import Feeder
from tests.proof.report import Proof
from tests.proof.verifier import differences, everything
from tests.servers.tracker import ROOT

pytestmark = pytest.mark.timeout(400)

EVENTS, PER_SECOND = 16_000, 700
KILL_EVERY_S = 8.0
QUIET_S = 12.0
ALL_HOURS = 10**6
CHANGELOGS = ("idiomatic-posts-changelog", "idiomatic-impressions-changelog")


@pytest.mark.promise(0)
def test_the_verifier_finds_the_double_counts_of_an_idiomatic_app(brokers: str, tmp_path: Path, proof: Proof) -> None:
    settings = Settings(brokers=brokers)
    topics.create(settings)
    given = made(Recipe(EVENTS, window_hours=ALL_HOURS))
    feeder = Feeder(brokers, settings.input_topics, given.records, PER_SECOND).start()
    command = [
        sys.executable,
        str(ROOT / "tests" / "benchmarks" / "baseline_app.py"),
        "worker",
        "--loglevel",
        "info",
        "--without-web",
    ]
    with tmp_path.joinpath("log").open("wb") as log:
        workers = []

        def start(number: int) -> None:
            variables = {"IDIOMATIC_BROKER": f"kafka://{brokers}", "APP_DATADIR": str(tmp_path / f"data-{number}")}
            workers.append(spawn(command, log, variables))

        try:
            start(0)
            start(1)
            kills = 0
            while not feeder.is_done:
                time.sleep(KILL_EVERY_S)
                workers[kills].kill()
                start(len(workers))
                kills += 1
            records = once_quiet(settings)
        finally:
            feeder.stop()
            for worker in workers:
                worker.kill()
                worker.wait()
    expected = {key: total for key, total in given.totals.items() if key[0] != "*"}
    lost, twice = differences(totals_of(records), expected)
    proof.figure(events=EVENTS, kills=kills, lost=lost, twice=twice)
    assert kills > 1
    assert lost + twice > 0, "an app that counts twice was not found out"


def once_quiet(settings: Settings) -> list[Any]:
    """All records of both changelogs, once no more come."""
    records: list[Any] = []
    while True:
        time.sleep(QUIET_S)
        found = [record for topic in CHANGELOGS for record in everything(settings, topic)]
        if len(found) == len(records):
            return found
        records = found


def totals_of(records: Iterable[Any]) -> Totals:
    """What the app says that everybody made: the last value of each key."""
    last: dict[tuple[str, str], list[int]] = {}
    for record in records:
        topic, _, user = msgspec.json.decode(record.key).partition("/")
        last.setdefault((topic, user), [0, 0])[CHANGELOGS.index(record.topic)] = msgspec.json.decode(record.value)
    return {key: (posts, impressions) for key, (posts, impressions) in last.items() if posts or impressions}
