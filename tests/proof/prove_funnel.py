"""The funnel, whom it credits, and the cut of recruiters, while events are taken back and workers killed."""

import random
from pathlib import Path

import pytest

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.core.state.scopes import ScopeName
from tests.proof import named_shares
from tests.proof.contents import Cuts
from tests.proof.crew import Crew
from tests.proof.feeder import Feeder
from tests.proof.named_shares import GAP_HOURS, Credited, NamedShares
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.verifier import cuts_of
from tests.servers.changelogs import restored
from tests.servers.tracker import following, tracker, variables

pytestmark = pytest.mark.timeout(900)

WITHIN_S = 180.0
PART = 0.25
"""Of the events of other rows: each is an entry or a share in two scopes, and all are put together in plain Python."""
SETTINGS = {"window_s": "48h", "pane_s": "1h", "short_s": "2h", "tick_s": "200ms", "funnel_gap_s": f"{GAP_HOURS}h"}


@pytest.mark.promise(23)
def test_the_funnel_is_exact_although_a_random_worker_is_killed_every_few_seconds(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    rng = random.Random(23)
    events = int(scale.events * PART)
    given = named_shares.made(events, repeats=events // 20, taken_back=events // 20)
    environment = variables(brokers, "funnel", **SETTINGS)
    with tracker(environment, tmp_path, workers=0) as run, Crew(run, 3) as crew:
        settings = run.settings
        with following(run, settings.curves_topic, settings.cuts_topic) as follower:
            feeder = Feeder(brokers, settings.source_topics, given.records, len(given.records) / scale.load_s).start()
            kills = 0
            try:
                while not feeder.is_done:
                    follower.during(scale.kill_every_s)
                    crew.kill(rng.choice(crew.members))
                    kills += 1
            finally:
                feeder.stop()
            follower.until(lambda seen: seen.total("read") >= len(given.records), "all events", WITHIN_S)
            follower.until(lambda seen: recruiters(cuts_of(seen)) == given.cuts, "the cuts of recruiters", WITHIN_S)
            seen = follower.drain()
        stores = restored(settings)
    stages, credited = stages_of(stores, given), credited_of(stores, given)
    entries = {topic: FunnelSums(*sums).entries for topic, sums in given.stages.items()}
    recruits = sum(one[0] for one in credited["*"]) - sum(one[0] for one in given.credited["*"])
    proof.figure(funnel_kills=kills, entries=entries["*"], credits=seen.of_topic(settings.credits_topic, "applied"))
    proof.figure(events=len(given.records), lost=max(-recruits, 0), twice=max(recruits, 0))
    assert stages == given.stages
    assert credited == given.credited
    assert seen.total("duplicate") == given.repeats
    assert seen.of_topic(settings.retractions_topic, "applied") == events // 20
    assert seen.regressions == []


def recruiters(cuts: Cuts) -> Cuts:
    """The cuts of recruiters alone."""
    return {scope: cut for scope, cut in cuts.items() if scope[1] == "recruiter"}


def stages_of(stores: list[LedgerStore], given: NamedShares) -> dict[str, tuple[int, ...]]:
    """The stages of each topic, of all partitions."""
    found = dict.fromkeys(given.stages, FunnelSums())
    for store in stores:
        assert store.funnel is not None
        for topic, sums in found.items():
            scope = ScopeName(DEFAULT_POPULATION, topic)
            found[topic] = sums.plus(store.funnel.funnel.sums(scope)).plus(store.funnel.credited.sums(scope))
    return {topic: tuple(sums) for topic, sums in found.items()}


def credited_of(stores: list[LedgerStore], given: NamedShares) -> dict[str, list[Credited]]:
    """What everybody was credited with, by topic, sorted."""
    found: dict[str, list[Credited]] = {topic: [] for topic in given.credited}
    for store in stores:
        assert store.funnel is not None
        for topic, credited in found.items():
            columns = store.funnel.credited.in_scope(ScopeName(DEFAULT_POPULATION, topic))
            rows = zip(*(column.tolist() for column in columns), strict=True)
            credited += [row for row in rows if any(row)]
    return {topic: sorted(credited) for topic, credited in found.items()}
