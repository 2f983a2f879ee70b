"""Flags of a stream are those of the backtest, with one worker or two, whether they are killed or not."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream_app.backtest.run import backtest
from stream_app.core.messages import OWN_ROLES, ROLES, Flag, flag_in
from stream_app.core.state.watermark import NO_TIME
from stream_app.demo.generator.population import demo_population
from stream_app.kafka import topics
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.proof.crew import Crew
from tests.proof.report import Proof
from tests.servers.tracker import Seen, following, tracker, variables

pytestmark = pytest.mark.timeout(900)

USERS = 1_500
WITHIN_S = 280.0
LEAST_SAME = 0.99
STEPS_AFTER = 2
Change = tuple[str, str, str, str, int]
"""User, topic, role, type, and the step of event time."""


def stream(settings: Settings) -> list[RecordedEvent]:
    """The demo stream of a small population, and an event some steps later, with which the last step ends."""
    events = list(demo_population(users=USERS).events)
    end_ms = events[-1].ts_ms + STEPS_AFTER * round(settings.step_s * 1000)
    value = b'{"event_id":"end","user_id":"u00000","ts":%d,"topics":[]}' % end_ms
    return [*events, events[-1]._replace(ts_ms=end_ms, share=False, key=b"u00000", value=value)]


def changes(flags: Sequence[Flag], settings: Settings) -> Counter[Change]:
    step_ms = round(settings.step_s * 1000)
    own = [one for one in flags if one.role in ROLES[:OWN_ROLES]]  # recruits come when other workers have decided
    return Counter((one.user_id, one.topic, one.role, one.type, one.event_time // step_ms) for one in own)


def flags_in(seen: Seen) -> list[Flag]:
    """Each flag once: after a crash it may be sent again."""
    records = seen.records.get(seen.settings.flags_topic, ())
    found = (flag_in(record.value, NO_TIME) for record in records)
    return list({flag.flag_id: flag for flag in found if flag is not None}.values())


@pytest.mark.promise(22)
@pytest.mark.parametrize(("workers", "kills"), [(1, 0), (2, 0), (2, 2)])
def test_flags_do_not_depend_on_the_workers_nor_on_what_happens_to_them(
    brokers: str, tmp_path: Path, proof: Proof, workers: int, kills: int
) -> None:
    rng = random.Random(workers + kills)
    with tracker(variables(brokers, f"same{workers}{kills}"), tmp_path, workers=0) as run:
        settings = run.settings
        events = stream(settings)
        wanted = changes(backtest(events, settings).flags, settings)
        assert not [found.problem for found in topics.create(settings) if found.problem]
        replay(events, brokers, settings)
        with following(run, settings.curves_topic, settings.flags_topic) as follower, Crew(run, workers) as crew:
            for killed in range(kills):
                part = (killed + 1) / (kills + 1)
                follower.until(lambda seen: seen.total("read") >= part * len(events), "a part", WITHIN_S)  # noqa: B023
                crew.kill(rng.choice(crew.members))
                crew.scale(workers)
            follower.until(lambda seen: seen.total("read") >= len(events), "all events", WITHIN_S)
            follower.until(
                lambda seen: changes(flags_in(seen), settings).total() >= LEAST_SAME * wanted.total(), "flags", WITHIN_S
            )
            found = changes(flags_in(follower.drain()), settings)
    same = (found & wanted).total()
    proof.figure(workers=workers, flag_kills=kills, flags=wanted.total(), same=same, others=(found - wanted).total())
    assert same >= (1 if workers == 1 else LEAST_SAME) * max(wanted.total(), found.total())
    assert wanted.total() > USERS / 10
