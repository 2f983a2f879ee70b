"""Everything that workers and commands write to real topics is what the AsyncAPI document says."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from stream_app.cli import main
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.process import LOCALHOST, spawn
from stream_app.kafka.topics import topics_of
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.erasure import load
from tests.e2e.erasure.load import VICTIM
from tests.servers.tracker import Seen, Tracker, following, tracker, variables
from tests.unit.alerts.parts import SECRET
from tests.unit.schemas.document import CHANNELS, messages_of, problems_of
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

RECORDS = 1500
LATER_MS = load.START_MS + 3 * 86_400_000
WAIT_S = 40.0
SINK = f'{{kind: webhook, url: "https://{LOCALHOST}/", secret: {SECRET}, give_up_after: 1s}}'
"""Nothing listens there: after a second each message is undelivered."""
NOT_ALL_DELETED = 3
"""What the embedded Kafka makes of an erasure: it deletes no records."""
ALL = {f"{topic}: {name}" for topic, channel in CHANNELS.items() for name in channel["messages"]}


@pytest.fixture(scope="module")
def own_brokers() -> Iterator[str]:
    """A Kafka whose topics have their default names, as in the document."""
    with embedded_broker() as address:
        yield address


def command(run: Tracker, *arguments: str) -> int:
    return CliRunner().invoke(main, arguments, env=run.environment).exit_code


@contextmanager
def alerts_running(run: Tracker, folder: Path) -> Iterator[None]:
    """An instance of the process that delivers, for the length of the block, once it is active."""
    log = folder / "alerts.log"
    with log.open("wb") as out:
        process = spawn([sys.executable, "-m", "stream_app", "alerts", "run"], out, run.environment)
    try:
        assert eventually(lambda: "active: " in log.read_text(), WAIT_S), log.read_text()
        yield
    finally:
        process.kill()
        process.wait()


def much_later() -> list[RecordedEvent]:
    """Events of many users about a new topic, one of them taken back: all before have left the window."""
    made = []
    for number in range(40):
        value = {"event_id": f"n{number}", "ts": LATER_MS, "user_id": f"n{number}", "topics": ["new"], "audience": 9}
        made.append(RecordedEvent(number % 2 == 0, b"n%d" % number, msgspec.json.encode(value), LATER_MS))
    taken = {"kind": "retract", "of": "post", "event_id": "n1", "ts": LATER_MS, "user_id": "n1"}
    return [*made, RecordedEvent(False, b"n1", msgspec.json.encode(taken), LATER_MS, retraction=True)]


def is_deleted(seen: Seen, topic: str) -> bool:
    return any(record.value is None for record in seen.records.get(topic, ()))


def test_every_record_is_one_of_the_messages_of_its_topic_and_every_message_occurs(
    own_brokers: str, tmp_path: Path
) -> None:
    given = {
        "dead_letters_topic": "influence.dead-letters",
        "session_timeout_s": "3s",
        "partitions": "2",
        "person_key": "sixteen or more!",
        "audit": "true",
    }
    environment = variables(own_brokers, "influence", **given, window_s="24h", tick_s="100ms", min_users="1")
    refusing = tmp_path / "alerts.yaml"
    all_flags = "warming_up: true, entered_because: [rose, newly_ranked, threshold_fell]"
    refusing.write_text(f"sinks: {{hook: {SINK}}}\nrules: [{{name: all, sinks: [hook], {all_flags}}}]\n")
    environment |= {"STREAM_APP_ALERTS_FILE": str(refusing), "STREAM_APP_ALERTS_HTTP_PORT": "0"}
    with tracker(environment, tmp_path, workers=2) as run:
        s = run.settings
        assert [topic.name for topic in topics_of(s)] == list(CHANNELS)
        with alerts_running(run, tmp_path), following(run, *CHANNELS) as follower:
            replay(load.made("c").records[:RECORDS], s.brokers, s)
            follower.until_read(RECORDS, WAIT_S)
            assert command(run, "dead-letters", "replay", "--all", "--late", "--yes") == 0
            assert command(run, "person", VICTIM, "--export") == 0
            assert command(run, "erase", VICTIM, "--yes") == NOT_ALL_DELETED
            replay(much_later(), s.brokers, s)
            follower.until(lambda seen: s.undelivered_topic in seen.records, "a message that is not delivered", WAIT_S)
            follower.until(lambda seen: is_deleted(seen, s.cuts_topic), "a cut that is deleted", WAIT_S)
            follower.until(lambda seen: is_deleted(seen, s.standings_topic), "a standing that is deleted", WAIT_S)
            seen = follower.drain()
    found = set()
    for topic, records in seen.records.items():
        for record in records:
            names = messages_of(topic, record)
            assert len(names) == 1 or topic in s.input_topics, (topic, record, problems_of(topic, record))
            found |= {f"{topic}: {name}" for name in names}
    assert found == ALL
