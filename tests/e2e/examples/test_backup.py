"""docs/operate.md#backup-and-restore, as written: what was saved makes the same counts on an empty cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.core.messages import Cut
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.settings import load
from stream_app.sources.replay import replay
from tests.e2e.engine import load as synthetic
from tests.servers.tracker import ROOT, following, tracker
from tests.unit.docs.pages import DOCS, blocks, section
from tests.unit.ops.parts import run

PAGE = section((DOCS / "operate.md").read_text(), "Backup and restore")
RECORDS = 20_000
WAIT_S = 90.0
KEY = "a-key-of-the-people-who-were-erased"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def environment_of(brokers: str) -> dict[str, str]:
    given = {"brokers": brokers, "redis_url": "", "http_port": "0", "person_key": KEY, "partitions": "2"}
    given |= {"window_s": "24h", "pane_s": "1h", "session_timeout_s": "3s"}
    return {f"STREAM_APP_{name.upper()}": text for name, text in given.items()}


def carried_out(block: str, brokers: str, folder: Path) -> int:
    """Run the lines of a block that save or restore topics; returns how many."""
    lines = [line.split()[1:] for line in block.splitlines() if line.startswith("python ")]
    for script, *words in lines:
        subprocess.run([sys.executable, str(ROOT / script), *words, brokers], cwd=folder, check=True, timeout=60)
    return len(lines)


def counted(environment: dict[str, str], logs: Path, records: int) -> dict[tuple[str, str], tuple[int, ...]]:
    """The cuts of a worker once it has counted so many records."""
    logs.mkdir()
    with tracker(environment, logs, workers=1) as tracked:
        settings = tracked.settings
        with following(tracked, settings.curves_topic, settings.cuts_topic) as follower:
            follower.until_read(records, WAIT_S)
            seen = follower.until(lambda found: bool(found.cuts) and not follower.poll(), "no news", WAIT_S)
            follower.until(lambda _: follower.poll() == 0, "quiet", WAIT_S)
            return {scope: figures(cut) for scope, cut in seen.cuts.items()}


def figures(cut: Cut) -> tuple[int, ...]:
    return cut.users, cut.total, cut.k, cut.threshold, cut.ties


def test_the_counts_and_the_erasures_come_back(tmp_path: Path) -> None:
    saving, restoring = blocks(PAGE, "sh")
    _, records = synthetic.made()
    erased = records[0].key.decode()
    with embedded_broker() as brokers:
        environment = environment_of(brokers)
        settings = load(environment)
        assert run(settings, "topics", "create").exit_code == 0
        assert run(settings, "erase", erased, "--yes").exit_code in {0, 3}
        replay(records[:RECORDS], brokers, settings)
        before = counted(environment, tmp_path / "before", RECORDS)
        assert carried_out(saving, brokers, tmp_path) == 4
    assert before
    with embedded_broker() as brokers:
        environment = environment_of(brokers)
        settings = load(environment)
        assert run(settings, "topics", "create").exit_code == 0
        assert carried_out(restoring, brokers, tmp_path) == 4
        after = counted(environment, tmp_path / "after", RECORDS)
        assert after == before
        shown = run(settings, "erase", erased, "--dry-run")
        assert "already" in shown.output or shown.exit_code == 0
