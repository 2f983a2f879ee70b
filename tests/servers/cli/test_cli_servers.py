"""The commands against real servers: topics, replay, watch and top."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer

from stream_app.cli import main
from stream_app.cli.options import flag_of
from stream_app.core.messages import Flag, Reason, Role
from stream_app.core.queries import TopUsers
from stream_app.core.signals.facts import Fact, Signal
from stream_app.kafka import topics
from stream_app.serving.redis.board import Board
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard
from stream_app.settings import NAMES, Settings, environment_name
from stream_app.settings.text import as_environment
from tests.board_samples import a_cut, a_flag
from tests.unit.ops.parts import records

TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(environment_name(name), raising=False)


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """Settings with topics of the test's own, which exist."""
    name = f"cli{abs(hash(request.node.name))}"
    given: dict[str, Any] = {setting: f"{name}.{setting}" for setting in NAMES if setting.endswith("_topic")}
    settings = Settings(brokers=brokers, app_id=name, partitions=2, **given)
    topics.create(settings)
    return settings


def run(*arguments: object, **keywords: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **keywords)


def flags_of(settings: Settings, *names: str) -> list[str]:
    """The command line that gives some settings."""
    values = as_environment(settings)
    return [text for name in names for text in (flag_of(name), values[environment_name(name)])]


def flag(number: int) -> Flag:
    return msgspec.structs.replace(
        a_flag(f"u{number}", flag_id=f"f{number}", eta_s=7200.0),
        value=1500,
        threshold=9000,
        share=0.01,
        rank=12,
        z=5.5,
        reason=Reason.ACCELERATING,
        event_time=1_475_712_000_000,
        detected_at=1_475_712_000_500,
    )


def raise_flags(settings: Settings, numbers: Iterable[int]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.brokers)
    for number in numbers:
        producer.send(settings.flags_topic, msgspec.json.encode(flag(number)), partition=number % settings.partitions)
    producer.flush(TIMEOUT_S)
    producer.close(TIMEOUT_S)


def test_topics_are_created_and_checked(brokers: str) -> None:
    given = ("--brokers", brokers, "--app-id", "cli-topics", "--posts-topic", "cli-topics.posts")
    assert run("topics", "check", *given).exit_code == 1
    assert run("topics", "create", *given).exit_code == 0
    checked = run("topics", "check", "--json", *given)
    assert checked.exit_code == 0
    assert {"topic": "cli-topics.posts", "purpose": "input: posts", "partitions": 8, "problem": None} in json.loads(
        checked.output
    )
    wrong = run("topics", "check", "--partitions", 4, *given)
    assert wrong.exit_code == 1
    assert "8 partitions instead of 4" in " ".join(wrong.output.split())


def test_a_worker_without_its_topics_says_how_to_get_them(brokers: str) -> None:
    settings = Settings(brokers=brokers, posts_topic="not.there", partitions=4)
    result = run("worker", "--http-port", 0, *flags_of(settings, "brokers", "posts_topic", "partitions"))
    assert result.exit_code == 1
    assert "topic not.there: missing: create it with `stream-app topics create`" in result.output


def test_a_worker_whose_port_is_taken_says_which_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("worker", "--http-port", port)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: port {port} on 127.0.0.1 is in use: set STREAM_APP_HTTP_PORT")


def test_a_replay_reports_what_it_produced(own: Settings, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    kinds = ("post", "share", "post")
    start_ms = 1_767_225_600_000
    lines = (
        f'{{"event_id":{n},"ts":{start_ms + n},"user_id":"ann","kind":"{kind}"}}\n' for n, kind in enumerate(kinds, 1)
    )
    events.write_text("".join(lines))
    given = flags_of(own, "brokers", "posts_topic", "shares_topic")
    report = json.loads(run("replay", events, "--until", "2026-01-01T00:00:00.003Z", "--json", *given).output)
    assert report.pop("seconds") >= 0
    assert report == {"sent": 2, "posts": 1, "shares": 1, "retractions": 0, "left_out": 1} | {
        "unreadable": 0,
        "rejected": [],
    }
    assert "3 events produced" in run("replay", events, *given).output
    events.write_text("".join([*events.read_text().splitlines(keepends=True), "a line of a log\n"]))
    assert "1 of them cannot be counted, and will be set aside" in run("replay", events, *given).output


def test_a_file_without_an_event_is_reported_and_not_sent(own: Settings, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("# notes\n" * 30)
    given = flags_of(own, "brokers", "posts_topic", "shares_topic")
    result = run("replay", text, *given)
    assert result.exit_code == 1
    assert "notes.txt holds no event: none of its lines is a JSON object with a user_id and a ts" in result.stderr
    assert records(own, own.posts_topic, 0) == []


def test_flags_are_watched_as_one_json_object_a_line(own: Settings) -> None:
    raise_flags(own, range(5))
    given = flags_of(own, "brokers", "flags_topic")
    lines = run("watch", "--json", "--from-beginning", "--limit", 5, *given).output.splitlines()
    flags = sorted((msgspec.json.decode(line, type=Flag) for line in lines), key=lambda seen: seen.flag_id)
    assert flags == [flag(number) for number in range(5)]


def test_a_watched_flag_reads_well(own: Settings) -> None:
    raise_flags(own, range(1))
    given = flags_of(own, "brokers", "flags_topic")
    output = run("watch", "--from-beginning", "--limit", 1, *given).output
    wanted = "2016-10-06 00:00 emerging connector tea u0 1,500 of θ 9,000: accelerating towards θ"
    assert " ".join(output.split()) == wanted


def test_watching_survives_a_closed_pipe(own: Settings) -> None:
    raise_flags(own, range(50))
    command = [sys.executable, "-m", "stream_app", "watch", "--json", "--from-beginning"]
    command += flags_of(own, "brokers", "flags_topic")
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert json.loads(watch.stdout.readline())["type"] == "emerging"
        watch.stdout.close()
        raise_flags(own, range(50))
        assert watch.wait(TIMEOUT_S) == 0
        assert watch.stderr.read() == b""
        watch.stderr.close()
    finally:
        watch.kill()
        watch.wait()


def test_only_new_flags_are_watched_unless_asked_for_all(own: Settings) -> None:
    raise_flags(own, range(3))
    command = [sys.executable, "-u", "-m", "stream_app", "watch", "--json", "--limit", "1"]
    command += flags_of(own, "brokers", "flags_topic")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            new = 3
            while watch.poll() is None and new < 100:
                raise_flags(own, [new])
                new += 1
            assert watch.stdout is not None
            assert int(json.loads(watch.stdout.readline())["flag_id"][1:]) >= 3
        finally:
            watch.kill()


def test_a_missing_flags_topic_is_reported(brokers: str) -> None:
    result = run("watch", "--brokers", brokers, "--flags-topic", "none.flags")
    assert result.exit_code == 1
    assert "has no topic none.flags: create it with `stream-app topics create`" in result.stderr


def test_the_top_users_come_from_redis(redis_url: str) -> None:
    asyncio.run(show_on_board(redis_url))
    given = ("--topic", " Tea", "-n", 2, "--redis-url", redis_url, "--redis-prefix", "cli-top", "--role", "maven")
    rows = [line.split() for line in run("top", *given).output.splitlines() if line.strip()]
    said = "always on: active in 23 of 24 hours"
    assert rows[2:] == [["1", "ann", "1,500", "borderline"], ["2", "bob", "900", *said.split()]]
    users = [
        {"user_id": "ann", "value": 1500, "borderline": True, "noticed": ""},
        {"user_id": "bob", "value": 900, "borderline": False, "noticed": said},
    ]
    wanted = {"topic": "tea", "population": "all", "role": "maven", "users": users}
    assert json.loads(run("top", "--json", *given).output) == wanted
    left = json.loads(run("top", "--json", "--without-marked", *given, "--partitions", 1).output)["users"]
    assert [user["user_id"] for user in left] == ["ann", "cy"]


async def show_on_board(redis_url: str) -> None:
    board = Board(redis_url, "cli-top", 100, 60.0, 1)
    tops = [TopUsers("tea", "all", Role.MAVEN, [("ann", 1500), ("bob", 900), ("cy", 3)])]
    cut = msgspec.structs.replace(a_cut("tea"), role=Role.MAVEN, threshold_low=1000, threshold_high=2000)
    noticed = {"bob": [Fact(Signal.ALWAYS_ON, 23.0, 22, 400)]}
    shown = PartitionBoard(partition=0, tops=tops, noticed=noticed)
    await board.refresh(BoardSnapshot(full=True, partitions=[shown], cuts=[cut]))
    await board.close()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--topic", "nix", "--role", "maven"), "'nix' has no mavens in the window; there are some of tea"),
        (
            ("--role", "maven", "--population", "staff"),
            "population 'staff' has no mavens in the window; there are some in",
        ),
        (("--role", "connector"), "population 'all' has no connectors in the window; there are no connectors at all"),
        (("--redis-prefix", "nobody"), "there is no board in Redis under the prefix nobody: is a worker running"),
    ],
)
def test_top_says_why_there_are_no_users(redis_url: str, arguments: tuple[str, ...], why: str) -> None:
    asyncio.run(show_on_board(redis_url))
    result = run("top", "--redis-url", redis_url, "--redis-prefix", "cli-top", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {why}")
    assert run("top", "--json", "--redis-url", redis_url, "--topic", "nix").exit_code == 1


def test_an_error_of_redis_ends_with_one_full_stop() -> None:
    stderr = run("top", "--redis-url", "redis://127.0.0.1:1/0").stderr
    assert "('127.0.0.1', 1). is it running" in stderr
