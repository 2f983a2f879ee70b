"""Watched rows: an evaluation of what is due finds what one of all rows finds, step by step."""

import random
from copy import deepcopy

import numpy as np
import pytest

from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.flags.evaluation import Changes, evaluate
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.flags.standing import ENTERED, StandingRules
from stream_app.core.flags.standing import RULES as ALL_RULES
from stream_app.core.flags.watched_rows import WatchedRows
from stream_app.core.state.ledger import Ledger
from tests.unit.core.partitions import Partitions

MINUTE_MS = 60_000
RULES = StandingRules(
    ranking=RankingRules(min_users=12, diffuse_fraction=0.6),
    floors=(1, 20),
    dwell_s=240,
    emerging_floor=0.2,
    emerging_z=0.3,
    emerging_moments=1.0,
)
STEPS = 100


def new_ledger() -> Ledger:
    return Ledger(pane_ms=15 * MINUTE_MS, panes=16, short_panes=4)


def from_scratch(parts: Partitions, partition: int) -> tuple[Changes, list[list[int]]]:
    """What an evaluation of all rows finds, and the standings after it; nothing is changed."""
    ledger, view, ranked = (
        deepcopy(parts.ledgers[partition]),
        parts.views[partition],
        RankedScopes(parts.followed, RULES),
    )
    ranked.update()
    numbers = view.numbers(parts.ledgers[partition], parts.followed)
    changes = evaluate(ledger, WatchedRows().due(ledger, deepcopy(view), ranked), numbers, ranked)
    return changes, ledger.rows.standings.tolist()


def happened(chosen: random.Random, now_ms: int) -> list[Event]:
    """Some events of users who come and go: bursts, few who make most, and quiet times."""
    loud = [f"u{chosen.randrange(40)}" for _ in range(3)]
    made: list[Event] = []
    for number in range(chosen.choice([0, 1, 1, 3, 8, 20])):
        user = chosen.choice(loud) if chosen.random() < 0.5 else f"u{min(int(chosen.paretovariate(0.6)), 40)}"
        made.append(
            chosen.choice([Post, Share])(
                event_id=f"{now_ms}/{number}",
                ts=now_ms,
                user_id=user,
                topics=chosen.choice([(), ("tea",), ("tea", "cars")]),
                audience=int(10 * chosen.paretovariate(0.8)),
            )
        )
    return made


@pytest.mark.parametrize("seed", range(4))
def test_what_is_due_is_all_that_can_change(seed: int) -> None:
    chosen, parts, now_ms, rules = random.Random(seed), Partitions(2, new_ledger, ranking=RULES.ranking), 0, set[int]()
    for _ in range(STEPS):
        now_ms += chosen.choice([0, 1, 1, 2, 5, 30]) * MINUTE_MS + 1
        parts.count(happened(chosen, now_ms))
        parts.advance(now_ms)
        parts.exchange(1)
        for partition, ledger in enumerate(parts.ledgers):
            wanted, standings = from_scratch(parts, partition)
            found = parts.evaluate(partition, RULES)
            assert [column.tolist() for column in found] == [column.tolist() for column in wanted]
            assert ledger.rows.standings.tolist() == standings
            rules |= set(found.rules.tolist())
    assert rules == {rule.number for rule in ALL_RULES}


def test_a_user_who_does_nothing_is_looked_at_when_the_threshold_falls() -> None:
    ranking = RankingRules(2, 1.0)
    parts = Partitions(1, new_ledger, ranking=ranking)
    parts.count(
        [Post(event_id=f"{u}/{n}", ts=0, user_id=u, topics=("t",)) for u, m in (("a", 9), ("b", 3)) for n in range(m)]
    )
    parts.advance(1)
    parts.exchange()
    rules = StandingRules(ranking, floors=(1, 1))
    parts.evaluate(0, rules)
    assert (parts.ledgers[0].rows.standings[0] == ENTERED).sum() == 4
    assert not len(parts.evaluate(0, rules).rows)
    (ledger,), (watched,) = parts.ledgers, parts.watched
    ranked = RankedScopes(parts.followed, rules)
    ranked.update()
    assert [rows.tolist() for rows in watched.due(ledger, parts.views[0], ranked)] == [[], []], "nothing has changed"
    assert np.all(ledger.rows.totals[0] > 0)
