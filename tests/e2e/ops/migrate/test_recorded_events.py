"""`stream-app migrate` with recorded events: the copy's cuts are those that sorting the file gives."""

import json
import time
from pathlib import Path

import pytest

from stream_app.kafka.clients import open_consumer
from stream_app.ops.migrate.published_curves import PublishedCurves
from stream_app.settings import load
from stream_app.settings.text import as_environment
from stream_app.sources.files import read_events
from stream_app.sources.replay import replay
from tests.e2e.engine.test_exact_answers import ORACLE, WHOLE, Answer, file_of, naive_answers
from tests.e2e.ops.migrate.test_migrate import leave
from tests.servers.tracker import following, tracker, variables
from tests.unit.ops.parts import run

WAIT_S = 90.0
FILE = "enron-mail"

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not ORACLE.exists(), reason="needs ../shared"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


def test_twelve_partitions_have_the_exact_cuts_of_the_file(brokers: str, tmp_path: Path) -> None:
    environment = variables(brokers, "migraterecorded", partitions="8", **WHOLE)
    with tracker(environment, tmp_path, workers=1) as tracked:
        settings = tracked.settings
        with following(tracked, settings.curves_topic) as follower:
            sent = replay(read_events([file_of(FILE)]), brokers, settings).sent
            follower.until_read(sent, WAIT_S)
            time.sleep(3.0)  # rounds after the last batch
    leave(settings)
    result = run(settings, "migrate", "--partitions", 12, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["copied"] + report["set_aside"] == sent
    assert {name: report["copy"][name] for name in ("applied", "users")} == {
        name: report["before"][name] for name in ("applied", "users")
    }
    switched = load({**as_environment(settings), **report["settings"]})
    with open_consumer(switched) as consumer:
        curves = PublishedCurves(switched, consumer)
        curves.refresh()
        found = {(topic, role): Answer(*cut[:5]) for (topic, _, role), cut in curves.figures().items()}
    assert found == naive_answers(FILE)
