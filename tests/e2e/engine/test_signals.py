"""A planted bot is marked in a worker that was killed meanwhile, and the person beside it is not."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream_app.core.events.schema import Share
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.api.asking import addresses, asked
from tests.servers.tracker import following, tracker, variables
from tests.unit.core.planted import BOT, PERSON, planted
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

WAIT_S = 40.0


def recorded() -> list[RecordedEvent]:
    events = planted()
    keyed = [(isinstance(event, Share), str(event.user_id).encode(), event.ts) for event in events]
    return [
        RecordedEvent(is_share, user, msgspec.json.encode(event), ts_ms)  # type: ignore[arg-type]
        for event, (is_share, user, ts_ms) in zip(events, keyed, strict=True)
    ]


def test_a_planted_bot_is_marked_and_the_person_beside_it_is_not(embedded_brokers: str, tmp_path: Path) -> None:
    events = recorded()
    half = len(events) // 2
    with tracker(variables(embedded_brokers, "signals", min_users="1"), tmp_path, workers=1) as run:
        s = run.settings
        with following(run, s.curves_topic) as follower:
            replay(events[:half], s.brokers, s)
            follower.until_read(half, WAIT_S)
            run.workers[0].kill()
            run.start()
            replay(events[half:], s.brokers, s)
            follower.until_read(len(events), WAIT_S)
        (where,) = addresses(run)

        def of(user: str) -> Any:
            return asked(where, "/users/why", id=user)["place"]["now"]

        assert eventually(lambda: len(of(BOT)["signals"]) > 1, WAIT_S), of(BOT)
        bot, person = of(BOT), of(PERSON)
        listed = asked(where, "/influencers", marked="without")["influencers"]
    facts = {fact["name"]: fact for fact in bot["signals"]}
    assert facts.keys() == {"regular", "one_sided"}
    assert (facts["regular"]["value"], facts["regular"]["numbers"]) == (0.0, {"mean_gap_s": 60.0})
    assert (facts["one_sided"]["value"], facts["one_sided"]["events"]) == (1.0, 80)
    assert (bot["value"], bot["trusted"]) == (8000, 0)
    assert (person["signals"], person["value"], person["trusted"]) == ([], 1500, 1500)
    assert [one["user_id"] for one in listed] == [PERSON]
