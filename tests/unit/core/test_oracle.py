"""The core on recorded streams, against the exact answers that SQL gives."""

import datetime as dt
import gzip
import importlib.util
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.ledger import Ledger
from tests.naive import identity_of, naive_cut, naive_people, naive_topics
from tests.unit.core.partitions import CutInts, Partitions

SHARED = Path(__file__).resolve().parents[4] / "shared"
ORACLE = SHARED / "oracle" / "oracle.py"
DAY_MS = 86_400_000
PANE_MS = 900_000
BATCH = 2000
TROLLS = "troll-tweets-2016-10"
ROLES = {"maven": 0, "connector": 1}
Cuts = dict[tuple[str, int], CutInts]
"""By topic and role."""

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(not ORACLE.exists(), reason="needs ../shared"),
]


@cache
def _events(name: str) -> list[Event]:
    """The events of a file in the order of the file, through the decoder of the tracker."""
    with gzip.open(SHARED / "data" / f"{name}.jsonl.gz", "rb") as file:
        lines = [line.rstrip(b"\n") for line in file]
    shares = [json.loads(line)["kind"] == "share" for line in lines]
    placed: dict[int, Event] = {}
    for kind, is_share in ((Post, False), (Share, True)):
        places = [place for place, found in enumerate(shares) if found == is_share]
        decoded = decode([lines[place] for place in places], kind, 65_536)
        assert not decoded.rejected
        placed |= zip(places, decoded.events, strict=True)
    return [placed[place] for place in sorted(placed)]


def _one_day() -> Ledger:
    return Ledger(PANE_MS, panes=DAY_MS // PANE_MS, short_panes=4)


def _counted(events: list[Event], partitions: int, new_ledger: Callable[[], Ledger], end_ms: int | None = None) -> Cuts:
    """The cuts that the core finds."""
    parts = Partitions(partitions, new_ledger)
    for start in range(0, len(events), BATCH):
        parts.count(events[start : start + BATCH])
    newest = max(source.watermark for ledger in parts.ledgers for source in ledger.sources.values())
    parts.advance(newest if end_ms is None else end_ms - 1)
    parts.exchange()
    return {(scope.topic, role): cut for (scope, role), cut in parts.all_cuts().items()}


@cache
def _global_cuts(name: str, partitions: int) -> Cuts:
    return _counted(_events(name), partitions, lambda: Ledger(pane_ms=30 * DAY_MS, panes=300, short_panes=1))


@cache
def _oracle() -> Callable[..., Iterator[dict[str, Any]]]:
    pytest.importorskip("duckdb", reason="the exact answers need duckdb")
    spec = importlib.util.spec_from_file_location("oracle", ORACLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answers  # type: ignore[no-any-return]


@cache
def _exact(name: str, topics: int, end_ms: int | None = None) -> Cuts:
    """The answers of the oracle, where there is any user."""
    file = str(SHARED / "data" / f"{name}.jsonl.gz")
    answers = _oracle()([file], end_ms, DAY_MS if end_ms else None, topics)
    return {
        (row["scope"], ROLES[row["role"]]): (row["users"], row["total"], row["k"], row["threshold"], row["ties"])
        for row in answers
        if row["users"]
    }


def _naive(events: list[Event]) -> Cuts:
    """The same by adding up event by event: SQL takes minutes for 15,000 topics."""
    first = {identity_of(event): event for event in reversed(events)}.values()
    made: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in first:
        for topic in naive_topics(event):
            made[topic, 0][str(event.user_id)] += isinstance(event, Post)
            made[topic, 1][str(event.user_id)] += naive_people(event) or 0
    cuts = {curve: naive_cut(users.values(), 0.8) for curve, users in made.items()}
    return {
        curve: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for curve, cut in cuts.items() if cut is not None
    }


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("name", ["conferences", "enron-mail"])
def test_every_cut_of_a_whole_file_is_the_oracles(name: str, partitions: int) -> None:
    assert _global_cuts(name, partitions) == _exact(name, topics=1_000_000)


def test_every_cut_of_a_whole_large_file_is_exact() -> None:
    counted, exact = _global_cuts(TROLLS, 4), _exact(TROLLS, topics=100)
    assert {curve: counted[curve] for curve in exact} == exact
    assert counted == _naive(_events(TROLLS))


@pytest.mark.parametrize(("day", "partitions"), [(6, 1), (14, 1), (28, 3)])
def test_every_cut_of_the_24_hours_before_a_midnight_is_the_oracles(day: int, partitions: int) -> None:
    midnight = dt.datetime(2016, 10, day, tzinfo=dt.UTC)
    end_ms = round(midnight.timestamp() * 1000)
    before = [event for event in _events(TROLLS) if isinstance(event.ts, int) and event.ts < end_ms]
    assert _counted(before, partitions, _one_day, end_ms) == _exact(TROLLS, 1_000_000, end_ms)


@pytest.mark.parametrize(
    ("name", "mavens", "connectors"),
    [
        (TROLLS, (272, 26_354, 56, 120, 1), (419, 663_051_262, 54, 1_877_221, 1)),
        ("conferences", (641, 1993, 260, 2, 112), (1258, 9_071_810, 47, 15_407, 1)),
        ("enron-mail", (181, 22_923, 51, 119, 1), (175, 34_469, 49, 221, 1)),
    ],
)
def test_the_reference_figures_are_met(name: str, mavens: CutInts, connectors: CutInts) -> None:
    """The figures in ../shared/data/README.md, so that not everything hangs on one piece of SQL."""
    cuts = _global_cuts(name, 4)
    assert (cuts["*", 0], cuts["*", 1]) == (mavens, connectors)
