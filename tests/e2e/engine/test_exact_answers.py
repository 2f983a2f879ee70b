"""The exact answers, end to end: recorded events through Kafka and worker processes, held against the oracle."""

import importlib.util
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import msgspec
import pytest
from kafka import KafkaProducer

from stream_app.core.messages import OWN_ROLES, ROLES, Cut
from stream_app.engine.rounds.curve_exchange import WATERMARK_KEY
from stream_app.sources.files import read_events
from stream_app.sources.replay import replay
from tests.naive import naive_cut, naive_topic
from tests.servers.tracker import ROOT, Seen, Tracker, following, tracker, variables

SHARED = ROOT.parent / "shared"
ORACLE = SHARED / "oracle" / "oracle.py"
SHARE = 0.8
DAY_MS = 86_400_000
UNTIL_MS = 1_475_712_000_000
"""2016-10-06T00:00Z."""
WHOLE = {"window_s": "9000d", "pane_s": "30d", "short_s": "30d", "min_ts": "1970-01-01"}
ALL_TOPICS = 10**9
SOME_TOPICS = 150

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not ORACLE.exists(), reason="needs ../shared"),
    pytest.mark.timeout(100),
]


class Answer(NamedTuple):
    """What must be equal."""

    users: int
    total: int
    k: int
    threshold: int
    ties: int


Answers = dict[tuple[str, str], Answer]
"""By topic and role."""


def file_of(name: str) -> Path:
    return SHARED / "data" / f"{name}.jsonl.gz"


def oracle_answers(name: str, topics: int, until_ms: int | None = None) -> Answers:
    spec = importlib.util.spec_from_file_location("oracle", ORACLE)
    assert spec is not None
    assert spec.loader is not None
    oracle: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    rows = oracle.answers([str(file_of(name))], until_ms, DAY_MS if until_ms else None, topics, SHARE)
    names = ("users", "total", "k", "threshold", "ties")
    return {(row["scope"], row["role"]): Answer(*(row[name] for name in names)) for row in rows if row["users"]}


def naive_answers(name: str) -> Answers:
    """All topics of a file: the oracle takes minutes where they are many."""
    values: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    seen = set()
    for recorded in read_events([file_of(name)]):
        event = msgspec.json.decode(recorded.value)
        identity = (event["kind"] == "share", event["user_id"], event["event_id"])
        if identity in seen:
            continue
        seen.add(identity)
        for topic in {"*", *map(naive_topic, event.get("topics") or ())}:
            values[topic, ROLES[0]][event["user_id"]] += event["kind"] == "post"
            values[topic, ROLES[1]][event["user_id"]] += max(event.get("audience") or 0, 0)
    cuts = {scope: naive_cut(made.values(), SHARE) for scope, made in values.items()}
    return {scope: Answer(cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in cuts.items() if cut}


def published(cuts: Mapping[tuple[str, str], Cut]) -> Answers:
    """Those of the roles of own events; recruits have tests of their own."""
    own = {(topic, role): cut for (topic, role), cut in cuts.items() if role in ROLES[:OWN_ROLES]}
    return {scope: Answer(*(getattr(cut, name) for name in Answer._fields)) for scope, cut in own.items()}


def differences(found: Answers, expected: Answers) -> Iterable[str]:
    for scope in sorted({*found, *expected}):
        if found.get(scope) != expected.get(scope):
            yield f"{scope}: {found.get(scope)} instead of {expected.get(scope)}"


def end_of_recording(run: Tracker, until_ms: int) -> None:
    """Say that event time has come to the end of the window, although no event is there."""
    producer = KafkaProducer(bootstrap_servers=run.settings.brokers)
    producer.send(run.settings.curves_topic, key=WATERMARK_KEY, value=str(until_ms - 1).encode()).get(10)
    producer.close()


def answers_of(run: Tracker, name: str, expected: Answers, until_ms: int | None = None) -> Seen:
    """Replay a file; returns what the tracker says once all is read and its cuts are `expected`, or no longer move."""
    sent = replay(read_events([file_of(name)]), run.settings.brokers, run.settings, until_ms=until_ms).sent
    if until_ms is not None:
        end_of_recording(run, until_ms)
    with following(run, run.settings.curves_topic, run.settings.cuts_topic) as follower:
        follower.until_read(sent, 60)
        try:
            follower.until(lambda seen: published(seen.cuts) == expected, "the cuts of the oracle", 20)
        except AssertionError:
            wrong = list(differences(published(follower.seen.cuts), expected))
            assert not wrong, f"{len(wrong)} cuts differ: {wrong[:10]}"
            raise
        return follower.seen


@pytest.mark.parametrize("name", ["enron-mail", "conferences"])
def test_a_whole_file_gives_the_answers_of_the_oracle(name: str, brokers: str, tmp_path: Path) -> None:
    expected = oracle_answers(name, ALL_TOPICS)
    with tracker(variables(brokers, f"whole-{name}", **WHOLE), tmp_path, workers=1) as run:
        seen = answers_of(run, name, expected)
    assert all(cut.exact for cut in seen.cuts.values())
    assert seen.total("late") == seen.total("rejected") == 0
    assert seen.regressions == []


def test_two_workers_give_the_answers_of_the_oracle_for_thousands_of_topics(brokers: str, tmp_path: Path) -> None:
    name = "troll-tweets-2016-10"
    expected = naive_answers(name)
    some = oracle_answers(name, SOME_TOPICS)
    assert {scope: expected[scope] for scope in some} == some
    with tracker(variables(brokers, "whole-troll", **WHOLE), tmp_path, workers=2) as run:
        seen = answers_of(run, name, expected)
    assert all(cut.exact for cut in seen.cuts.values())
    assert seen.total("late") == seen.total("rejected") == 0


def test_a_window_that_ends_at_midnight_gives_the_answers_of_the_oracle(brokers: str, tmp_path: Path) -> None:
    name = "troll-tweets-2016-10"
    expected = oracle_answers(name, ALL_TOPICS, UNTIL_MS)
    environment = variables(brokers, "day-troll", window_s="24h", pane_s="15m", short_s="1h", step_s="1h")
    with tracker(environment, tmp_path, workers=2) as run:
        answers_of(run, name, expected, UNTIL_MS)
