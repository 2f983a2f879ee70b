"""Names from events on a terminal: every command shows them, and the terminal obeys none of them."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from stream_app.core.events.schema import MAX_ID_BYTES
from stream_app.core.messages import Flag, FlagType, Role
from stream_app.core.queries import TopUsers
from stream_app.core.readable import readable
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.serving.redis.board import Board
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard
from stream_app.settings import NAMES, Settings, environment_name
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import as_environment
from tests.board_samples import a_flag
from tests.hostile import FORBIDDEN, HOSTILE
from tests.unit.ops.parts import dead_letter, made, produce, put

ROOT = Path(__file__).parents[3]
NAMES_SENT = {
    kind: name for kind, name in HOSTILE.items() if "\ud800" not in name and len(name.encode()) <= MAX_ID_BYTES
}
"""Those that are not rejected for their bytes."""
ALLOWED = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1?[AG]|\r")
"""What commands say to the terminal themselves: colours, and what a progress line needs."""
ALERTS = """
sinks: {hook: {kind: webhook, url: "http://127.0.0.1:1/", secret: "whsec_cGxhbnRlZC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE="}}
rules: [{name: "[/nope]", sinks: [hook]}]
max_age: 24h
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A tracker whose topics and board are full of hostile names."""
    with embedded_broker() as brokers, embedded_redis() as redis_url:
        yield filled(brokers, redis_url, tmp_path_factory.mktemp("alerts"))


def filled(brokers: str, redis_url: str, folder: Path) -> Settings:
    alerts = folder / "[nope] alerts.yaml"
    alerts.write_text(ALERTS)
    topics = {name: f"hostile.{name}" for name in NAMES if name.endswith("_topic")}
    settings = made(
        Settings(
            brokers=brokers,
            app_id="hostile",
            partitions=2,
            redis_url=SecretUrl(redis_url),
            redis_prefix="[/nope]",
            alerts_file=str(alerts),
            **topics,  # type: ignore[arg-type]
        )
    )
    flags = [
        a_flag(name, name, flag_id=f"f{number}", flag_type=[*FlagType][number % 4])
        for number, name in enumerate(NAMES_SENT.values())
    ]
    produce(settings, settings.flags_topic, [(0, b"k", msgspec.json.encode(flag), []) for flag in flags])
    values = [msgspec.json.encode({"user_id": name, "topics": [name]}) for name in NAMES_SENT.values()]
    produce(settings, settings.posts_topic, [(0, name.encode(), name.encode(), []) for name in NAMES_SENT.values()])
    letters = [
        dead_letter(name, number, key=name.encode(), value=values[number], reason=name, message=name)
        for number, name in enumerate(NAMES_SENT.values())
    ]
    put(settings, letters)
    put(settings, letters, settings.late_topic)
    asyncio.run(show_on_board(settings))
    return settings


async def show_on_board(settings: Settings) -> None:
    board = Board(settings.redis_url.reveal(), settings.redis_prefix, 1000, 600.0, 1)
    users = [(name, 1000 - number) for number, name in enumerate(NAMES_SENT.values())]
    tops = [TopUsers(topic, "all", Role.CONNECTOR, users) for topic in ("*", *NAMES_SENT.values())]
    await board.refresh(BoardSnapshot(full=True, partitions=[PartitionBoard(partition=0, tops=tops)]))
    await board.close()


def on_terminal(settings: Settings, *arguments: object) -> str:
    """What a terminal of 200 columns gets from a command."""
    ours = {environment_name(name) for name in NAMES}
    environment = {name: text for name, text in os.environ.items() if name not in ours}
    environment |= {**as_environment(settings), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "200"}
    main, end = pty.openpty()
    output = bytearray()

    def read() -> None:
        with suppress(OSError):
            while data := os.read(main, 65_536):
                output.extend(data)

    reader = threading.Thread(target=read)
    command = [sys.executable, "-m", "stream_app", *map(str, arguments)]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment) as process:
        os.close(end)
        reader.start()
        process.wait(90)
    reader.join(5)
    os.close(main)
    return output.decode()


COMMANDS: dict[str, tuple[object, ...]] = {
    "watch": ("watch", "--from-beginning", "--limit", len(NAMES_SENT)),
    "watch json": ("watch", "--from-beginning", "--json", "--limit", len(NAMES_SENT)),
    "top": ("top", "-n", 100),
    "top json": ("top", "-n", 100, "--json"),
    "top of a topic that is not": ("top", "--topic", "nope\u202e", "-n", 100),
    "letters": ("dead-letters", "list", "--late"),
    "letters json": ("dead-letters", "list", "--json"),
    "show": ("dead-letters", "show", "--limit", 100),
    "show json": ("dead-letters", "show", "--limit", 100, "--json"),
    "replay letters": ("dead-letters", "replay", "--all", "--dry-run"),
    "doctor": ("doctor",),
    "doctor json": ("doctor", "--json"),
    "settings": ("settings",),
    "erase": ("erase", HOSTILE["clear"], "--dry-run"),
    "reset": ("reset", "--dry-run"),
    "topics": ("topics", "check"),
    "dry run": ("alerts", "dry-run", "--since", "1970-01-01"),
    "test": ("alerts", "test"),
    "no such sink": ("alerts", "test", "--sink", HOSTILE["clear"]),
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_the_terminal_obeys_no_name(own: Settings, arguments: tuple[object, ...]) -> None:
    shown = on_terminal(own, *arguments)
    assert "Traceback" not in shown
    assert "\x1b[31mred" not in shown
    assert not set(ALLOWED.sub("", shown)) & (set(FORBIDDEN) - {"\n"})
    assert not re.search(r"^2026-01-01 00:00:00 ERROR forged", shown, re.MULTILINE)
    assert not re.search("[\u0301\u0316]{5}", shown)


def test_names_are_seen_as_the_alerts_show_them(own: Settings) -> None:
    shown = on_terminal(own, *COMMANDS["top"])
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    for name in (HOSTILE["markup"], HOSTILE["emoji code"], HOSTILE["backwards"], HOSTILE["clear"], HOSTILE["html"]):
        assert readable(name) in text


def test_json_is_exact(own: Settings) -> None:
    users = json.loads(on_terminal(own, *COMMANDS["top json"]))["users"]
    assert [row["user_id"] for row in users] == list(NAMES_SENT.values())
    lines = [line for line in on_terminal(own, *COMMANDS["watch json"]).splitlines() if line.startswith("{")]
    assert [msgspec.json.decode(line, type=Flag).user_id for line in lines] == list(NAMES_SENT.values())
