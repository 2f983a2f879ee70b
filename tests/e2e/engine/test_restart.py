"""A worker that is killed and restarted: it continues with its whole state, and repeats flags unchanged."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from stream_app.core.messages import Flag
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.engine.load import START_MS
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import Seen, following, tracker, variables

pytestmark = pytest.mark.timeout(100)

USERS, LOUD = 600, 60
WAIT_S = 30.0


def events(first: int) -> list[RecordedEvent]:
    """One post of everybody; those of the loud ones are seen by a thousand times as many."""
    made = []
    for number in range(USERS):
        user = f"u{number}"
        value = {
            "event_id": f"e{first + number}",
            "ts": START_MS + first + number,
            "user_id": user,
            "audience": 10_000 + number if number < LOUD else 10,
        }
        made.append(RecordedEvent(False, user.encode(), msgspec.json.encode(value), START_MS))
    return made


def flags(seen: Seen) -> list[Flag]:
    return [msgspec.json.decode(r.value, type=Flag) for r in seen.records.get(seen.settings.flags_topic, [])]


@BOTH_BROKERS
def test_a_restart_keeps_the_standings_and_raises_no_flag_anew(brokers: str, tmp_path: Path) -> None:
    environment = variables(brokers, "restart", min_users="1")
    with tracker(environment, tmp_path, workers=1) as run:
        s = run.settings
        with following(run, s.curves_topic, s.cuts_topic, s.flags_topic) as follower:
            replay(events(0), s.brokers, s)
            follower.until_read(USERS, WAIT_S)
            follower.until(lambda seen: len({flag.user_id for flag in flags(seen)}) > LOUD // 2, "the flags", WAIT_S)
            flagged = follower.seen.cuts["*", "connector"].k
            follower.until(lambda seen: len({flag.user_id for flag in flags(seen)}) >= flagged - 1, "all flags", WAIT_S)
            run.workers[0].kill()
            run.start()
            replay(events(USERS), s.brokers, s)
            follower.until_read(2 * USERS, WAIT_S)
            follower.until(lambda seen: seen.cuts["*", "connector"].total > 1.9 * 10_000 * LOUD, "the new cut", WAIT_S)
            seen = follower.seen
    distinct = {flag.flag_id: (flag.user_id, flag.type) for flag in flags(seen)}
    again = {what: times for what, times in Counter(distinct.values()).items() if times > 1}
    assert again == {}
    assert seen.total("applied") == 2 * USERS
