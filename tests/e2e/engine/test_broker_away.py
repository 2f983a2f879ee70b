"""A worker whose Kafka is away: its log says what is wrong, and can be read."""

import time
from pathlib import Path

import pytest

from stream_app.engine.liveness.exit_codes import Exit
from tests.servers.embedded import kafka_server
from tests.servers.tracker import tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(90)

WAIT_S = 30.0
AWAY_S = 10.0
FEW_LINES = 15
END_WITHIN_S = 12.0


def test_a_worker_without_kafka_says_what_is_wrong_and_not_much_more_and_ends_on_a_signal(tmp_path: Path) -> None:
    with (
        kafka_server(tmp_path) as server,
        tracker(variables(f"127.0.0.1:{server.port}", "away", partitions="2"), tmp_path, workers=1) as run,
    ):
        worker = run.workers[0]
        assert eventually(lambda: worker.has_said("took over 2 partitions"), WAIT_S), worker.said()
        log = Path(worker.log.name)
        before = log.stat().st_size
        server.kill()
        time.sleep(AWAY_S)
        meanwhile = log.read_text()[before:]
        assert worker.process.poll() is None
        worker.process.terminate()
        assert worker.process.wait(END_WITHIN_S) == Exit.CUT_SHORT
    assert "Kafka does not answer, waiting for it" in meanwhile
    assert len(meanwhile.splitlines()) <= FEW_LINES, meanwhile
