"""Every command of the README is run, as it stands there, on the embedded Kafka and Redis."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.process import free_port
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.settings import NAMES, environment_name
from tests.unit.docs.pages import README, ROOT, blocks
from tests.waiting import eventually

DEADLINE_S = 60.0
COMMANDS = [
    line
    for block in blocks(README, "sh")
    for text in block.splitlines()
    if (line := re.sub(r" +#.*", "", text)) and not line.startswith("export ")
]
ENDLESS = {
    "stream-app worker": "",
    "stream-app watch": "coffee",
    "curl -N 'http://127.0.0.1:6066/api/v1/flags/stream?type=emerging'": ": open",
    "stream-app alerts run --alerts-file alerts.yaml": "active",
}
"""What is ended by the test, and what it prints first; nothing: it is only to keep running."""
FINITE = {
    "stream-app topics create": "influence.posts",
    "stream-app replay events.jsonl.gz": "",
    "stream-app doctor": "",
    "stream-app top --topic tea --role connector": "star",
    "stream-app demo events.jsonl.gz --window 7d --pane 1h": "tea",
    "stream-app backtest events.jsonl.gz": "200 events read: 200 applied",
}
"""What ends by itself, and what it prints."""
BY_MAKE = {"make demo": "stream-app demo"}

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands are run, with the files that they name."""
    _record(tmp_path, "tea")
    url = f"http://127.0.0.1:{free_port()}"
    rules = "rules: [{name: all, types: [entered], sinks: [duty]}]\n"
    (tmp_path / "alerts.yaml").write_text(f"sinks:\n  duty: {{kind: alertmanager, url: '{url}'}}\n{rules}")
    return tmp_path


def _record(folder: Path, topic: str) -> None:
    """Posts of 50 users about a topic: 49 reach a few people, one many."""
    now_ms = round(time.time() * 1000)
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        for number in range(200):
            user, audience = ("star", 1_000_000) if number % 50 == 0 else (f"u{number % 50}", 10)
            event = {"event_id": f"{topic}{number}", "ts": now_ms, "user_id": user, "topics": [topic]}
            file.write(json.dumps(event | {"audience": audience}) + "\n")


class Shell:
    """Runs commands as the README has them, with a Kafka, a Redis and ports of the test's own."""

    def __init__(self, folder: Path, brokers: str, redis_url: str) -> None:
        self._folder = folder
        self._port = free_port()
        own = {environment_name(name) for name in NAMES}
        self._variables: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if name not in own},
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(folder),
            "STREAM_APP_BROKERS": brokers,
            "STREAM_APP_REDIS_URL": redis_url,
            "STREAM_APP_HTTP_PORT": str(self._port),
            "STREAM_APP_ALERTS_HTTP_PORT": "0",
        }

    def words(self, line: str) -> list[str]:
        words = shlex.split(line.replace(":6066", f":{self._port}"))
        if Path(words[0]).name != "stream-app":
            return words
        return [sys.executable, "-m", "stream_app", *words[1:]]

    def succeed(self, line: str, text: str) -> None:
        """Run a command until it succeeds and prints `text`: a worker takes seconds to count, and to show the board."""
        printed = ""

        def does() -> bool:
            nonlocal printed
            ended = subprocess.run(
                self.words(line), cwd=self._folder, env=self._variables, capture_output=True, text=True, check=False
            )
            printed = ended.stdout + ended.stderr
            return ended.returncode == 0 and text in printed

        assert eventually(does, DEADLINE_S), f"{line}: {printed}"

    @contextmanager
    def running(self, line: str) -> Iterator[Path]:
        """Run a command until the block ends; yields the file that it prints into."""
        log = self._folder / f"{abs(hash(line))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.words(line), cwd=self._folder, env=self._variables, stdout=output, stderr=output
            )
            try:
                yield log
                assert process.poll() is None, f"{line} has ended: {log.read_text()}"
            finally:
                process.terminate()
                process.wait(DEADLINE_S)


def _plain(line: str) -> str:
    return line.replace(".venv/bin/", "")


def test_each_command_is_known_to_the_test() -> None:
    assert sorted(map(_plain, COMMANDS)) == sorted([*ENDLESS, *FINITE, *BY_MAKE])


def test_make_runs_what_the_readme_says() -> None:
    for target, command in BY_MAKE.items():
        recipe = subprocess.run(
            [*shlex.split(target), "--dry-run"],
            env={"PATH": os.environ["PATH"]},  # this test may itself run under make
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert recipe.stdout.splitlines()[-1].strip() == f".venv/bin/{command}"


def test_the_commands_do_what_the_readme_says(folder: Path) -> None:
    with ExitStack() as stack:
        shell = Shell(folder, stack.enter_context(embedded_broker()), stack.enter_context(embedded_redis()))
        logs: dict[str, Path] = {}
        for line in map(_plain, COMMANDS):
            if line in ENDLESS:
                logs[line] = stack.enter_context(shell.running(line))
            elif line in FINITE and " demo " not in line:
                shell.succeed(line, FINITE[line])
        _record(folder, "coffee")  # somebody enters a cut while the flags are watched
        shell.succeed("stream-app replay events.jsonl.gz", "")
        for line, log in logs.items():
            assert eventually(partial(_holds, log, ENDLESS[line]), DEADLINE_S), f"{line}: {log.read_text()}"


def _holds(log: Path, text: str) -> bool:
    return text in log.read_text()


@pytest.mark.slow
def test_the_demo_counts_the_events_of_a_file(folder: Path) -> None:
    (line,) = [line for line in FINITE if " demo " in line]
    Shell(folder, "127.0.0.1:9092", "").succeed(line, FINITE[line])
