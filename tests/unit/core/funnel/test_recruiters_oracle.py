"""Recruiters on recorded streams: the credits of the funnel counted in ledgers, and the cut of all of them."""

from typing import NamedTuple

import numpy as np
import pytest

from stream_app.core.events.credit import Credits
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.messages import Role
from stream_app.core.state.ledger import Ledger
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of
from tests.unit.core.funnel.test_funnel_oracle import ANSWERS, PANE_MS, _counted, pytestmark
from tests.unit.core.partitions import Partitions

__all__ = ["pytestmark"]
LONG = 1_000_000
"""Panes: nothing leaves the window."""
WITH_RECRUITS = [answer for answer in ANSWERS if answer[4]]


class Counted(NamedTuple):
    """Ledgers that have counted credits, with their cuts."""

    parts: Partitions

    def of(self, topic: str, user: str, home: int) -> tuple[int, int]:
        """Recruits and amplified impressions."""
        ledger = self.parts.ledgers[home]
        rows = ledger.rows.find(ledger.scopes.add([scope_of(topic)]), ledger.users.add([user]))
        return int(ledger.rows.values(Role.RECRUITER.place)[rows[0]]), int(ledger.rows.amplified[rows[0]])


def columns(found: InfluenceCredits) -> Credits:
    """Credits as events of a source: a scope of one each."""
    scopes, nothing = [found.scope_names[scope] for scope in found.scopes.tolist()], np.zeros(len(found.ids), np.int64)
    return Credits(
        users=found.credited,
        hashes=found.ids,
        ts_ms=found.ts_ms,
        posts=nothing,
        impressions=nothing,
        unknown=np.zeros(len(found.ids), np.bool_),
        topics=[(scope.topic,) for scope in scopes],
        populations=[scope.population for scope in scopes],
        recruits=found.recruits,
        amplified=found.impressions,
    )


def counted(funnel: FunnelPartitions) -> Counted:
    """Each credit where the credited person is, and all of it once more: repeats."""
    parts = Partitions(len(funnel.parts), lambda: Ledger(PANE_MS, LONG, 4))
    for found in [*funnel.sent, *funnel.sent[-50:]]:
        homes = np.array([funnel.home(user) for user in found.credited], np.int64)
        for home in set(homes.tolist()):
            credits_ = columns(found.at(homes == home))
            ledger = parts.ledgers[home]
            ledger.apply("credits", 0, credits_, ledger.late("credits", credits_.ts_ms), 0)
    parts.exchange()
    return Counted(parts)


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(("name", "gap_h", "topic", "stages", "recruiters", "k_80"), WITH_RECRUITS)
def test_the_cut_of_recruiters_is_the_oracles(
    name: str, gap_h: int, topic: str, stages: tuple[int, ...], recruiters: int, k_80: int, partitions: int
) -> None:
    cut = counted(_counted(name, gap_h, partitions)).parts.all_cuts()[scope_of(topic), Role.RECRUITER.place]
    assert cut[:3] == (recruiters, stages[2], k_80)


def test_what_people_were_credited_with_is_the_oracles() -> None:
    funnel = _counted("conferences", 168, 2)
    found = counted(funnel)
    assert found.of("*", "u50d30c7283", funnel.home("u50d30c7283")) == (325, 510_770)
    assert found.of("*", "udf975c1f0e", funnel.home("udf975c1f0e"))[1] == 1_356_179
