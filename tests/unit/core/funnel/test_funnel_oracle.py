"""The funnel on recorded streams, against the exact answers that SQL gives (../shared/oracle/funnel.py)."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.events.names import normal_topic
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.funnel_sums import FunnelSums, effective_sharers
from tests.unit.core.funnel.naive_funnel import Action, distinct, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
HOUR_MS = 3_600_000
PANE_MS = HOUR_MS // 4
BATCH = 2000
DECIDED_EVERY = 10
TROLLS = "troll-tweets-2016-10"

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="needs ../shared"),
]


@cache
def _events(name: str) -> list[Action]:
    """The first deliveries, in the order of the file."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rb") as file:
        return distinct(map(_action, map(json.loads, file)))


def _action(row: dict[str, Any]) -> Action:
    topics = {normal_topic(str(topic)) for topic in row.get("topics") or ()} - {""}
    return Action(
        event_id=str(row["event_id"]),
        ts_ms=row["ts"],
        user=str(row["user_id"]),
        is_share=row["kind"] == "share",
        author=_text(row.get("author_id")),
        via=_text(row.get("via_id")),
        post=_text(row.get("post_id")),
        impressions=max(row.get("audience") or 0, 0),
        topics=tuple(sorted(topics)),
    )


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


@cache
def _counted(name: str, gap_h: int, partitions: int) -> FunnelPartitions:
    """What the funnel makes of a file: decided up to the newest event after every ten batches, as it comes."""
    parts = FunnelPartitions(partitions, FunnelSettings(PANE_MS, gap_h * HOUR_MS))
    events, newest_ms = _events(name), -(2**62)
    for number, start in enumerate(range(0, len(events), BATCH)):
        batch = events[start : start + BATCH]
        parts.add(batch)
        newest_ms = max(newest_ms, *(event.ts_ms for event in batch))
        if number % DECIDED_EVERY == 0:
            parts.decide(newest_ms)
    parts.decide(newest_ms + PANE_MS)
    return parts


def _k_80(recruits: list[int]) -> int:
    total, reached, k = sum(recruits), 0, 0
    while reached * 10 < total * 8:
        reached, k = reached + recruits[k], k + 1
    return k


ANSWERS = [
    ("conferences", 168, "*", (1736, 30, 1240, 526, 0, 1736), 260, 89),
    ("conferences", 168, "nicar18", (389, 23, 215, 197, 0, 389), 58, 24),
    ("conferences", 168, "aslo2018", (385, 1, 252, 134, 0, 385), 69, 36),
    ("conferences", 168, "ser2018", (295, 1, 158, 138, 0, 295), 50, 24),
    ("conferences", 24, "*", (1736, 526, 1525, 737, 0, 1736), 284, 91),
    ("conferences", 24, "nicar18", (389, 145, 281, 253, 0, 389), 61, 24),
    ("conferences", 24, "aslo18", (128, 28, 98, 58, 0, 128), 21, 8),
    (TROLLS, 168, "*", (420, 44, 5, 222, 237, 420), 3, 2),
    (TROLLS, 168, "betteralternativetodebates", (50, 0, 2, 37, 11, 50), 2, 2),
    (TROLLS, 24, "*", (420, 1106, 20, 1033, 473, 420), 10, 6),
    (TROLLS, 24, "rejecteddebatetopics", (48, 10, 1, 43, 14, 48), 1, 1),
    (TROLLS, 24, "ruinadinnerinonephrase", (47, 6, 0, 23, 30, 47), 0, 0),
    ("enron-mail", 168, "*", (181, 2209, 0, 2390, 0, 181), 0, 0),
    ("enron-mail", 168, "daily_business", (162, 1047, 0, 1209, 0, 162), 0, 0),
    ("enron-mail", 24, "*", (181, 7931, 0, 8112, 0, 181), 0, 0),
    ("enron-mail", 24, "calif_enron", (136, 1025, 0, 1161, 0, 136), 0, 0),
]
"""By file, gap in hours and topic: new, re-entered, recruited, self-started, unknown, participants; recruiters; k.
What `funnel.py FILE --gap HOURS --topics 4` prints."""


@pytest.mark.parametrize("partitions", [1, 2, 8])
@pytest.mark.parametrize(("name", "gap_h", "topic", "stages", "recruiters", "k_80"), ANSWERS)
def test_the_stages_are_the_oracles(
    name: str, gap_h: int, topic: str, stages: tuple[int, ...], recruiters: int, k_80: int, partitions: int
) -> None:
    parts = _counted(name, gap_h, partitions)
    sums = parts.sums(topic)
    assert sums[:6] == stages
    assert sums.recruiters == recruiters
    assert sums.entries == sums.new + sums.re_entered == sums.recruited + sums.self_started + sums.unknown
    assert sum(parts.recruits(topic)) == sums.recruited
    assert _k_80(parts.recruits(topic)) == k_80


@pytest.mark.parametrize(
    ("name", "gap_h", "answers"),
    [
        ("conferences", 168, {"u50d30c7283": 325, "u8a7b810f74": 25, "u3595ba3b54": 23, "u9928222f0d": 23}),
        ("conferences", 24, {"u50d30c7283": 348, "u9928222f0d": 34, "u8a7b810f74": 30, "u47e6fe5c3b": 29}),
        (TROLLS, 168, {"ChrixMorgan": 2, "TEN_GOP": 2, "DanaGeezus": 1}),
        (TROLLS, 24, {"ChrixMorgan": 5, "TEN_GOP": 4, "BabyJannyMeow": 3, "DanaGeezus": 2}),
    ],
)
def test_the_recruits_of_the_largest_recruiters_are_the_oracles(name: str, gap_h: int, answers: dict[str, int]) -> None:
    parts = _counted(name, gap_h, 2)
    assert {user: parts.credited("*", user)[0] for user in answers} == answers
    assert parts.recruits("*")[: len(answers)] == sorted(answers.values(), reverse=True)


@pytest.mark.parametrize(
    ("name", "author", "amplified", "shares", "sharers", "effective"),
    [
        ("conferences", "udf975c1f0e", 1_356_179, 28, 15, 8.52),
        ("conferences", "u50d30c7283", 510_770, 362, 343, 327.61),
        ("conferences", "u0546daf1da", 447_430, 5, 4, 3.57),
        (TROLLS, "ChrixMorgan", 711_576, 261, 46, 36.53),
        (TROLLS, "MaxDementiev", 708_316, 24, 9, 3.27),
        (TROLLS, "ComradZampolit", 498_880, 34, 18, 13.14),
    ],
)
def test_the_most_amplified_are_the_oracles(
    name: str, author: str, amplified: int, shares: int, sharers: int, effective: float
) -> None:
    parts = _counted(name, 24, 2)
    held = parts.parts[parts.home(author)].credited.of(scope_of("*"), [author])
    assert parts.credited("*", author)[1:4] == (amplified, shares, sharers)
    assert round(float(effective_sharers(held.shares, held.squares)[0]), 2) == effective


@pytest.mark.parametrize("name", ["conferences", TROLLS])
def test_every_topic_of_a_file_is_the_naive_models(name: str) -> None:
    naive = naive_funnel(_events(name), 24 * HOUR_MS)
    stages = {topic: FunnelSums() for topic in naive}
    for part in _counted(name, 24, 2).parts:
        columns = part.funnel.counts.of_scopes(part.funnel.counts.panes, len(part.funnel.scopes)).T.tolist()
        for scope, counted in zip(part.funnel.scopes.names, columns, strict=True):
            stages[scope.topic] = stages[scope.topic].plus(FunnelSums(*counted))
        for scope, credited in zip(part.credited.scopes.names, part.credited.by_scope().T.tolist(), strict=True):
            sums = FunnelSums(advocates=credited[0], recruiters=credited[1])
            stages[scope.topic] = stages[scope.topic].plus(sums)
    assert stages == {topic: scope.stages() for topic, scope in naive.items()}
