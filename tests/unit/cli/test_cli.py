"""The commands: their help, options made from the settings, and errors in one line."""

import json
import math
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from stream_app import worker as worker_module
from stream_app.cli import main
from stream_app.cli.options import WITHOUT_FLAG, Speed, TimeOption, flag_of, settings_options
from stream_app.kafka import topics as topics_module
from stream_app.ops.audit import startup
from stream_app.settings import ENV_PREFIX, NAMES, Settings, documentation, environment_name, load
from stream_app.settings.kinds import parse_duration_s
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import as_environment, duration_text

COMMANDS = (
    "demo",
    "topics",
    "worker",
    "replay",
    "top",
    "watch",
    "doctor",
    "dead-letters",
    "reset",
    "settings",
)
SUBCOMMANDS = [
    ("topics", "create"),
    ("topics", "check"),
    *(("dead-letters", name) for name in ("list", "show", "replay")),
]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(environment_name(name), raising=False)


def run(*arguments: object, **keywords: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **keywords)


def test_every_command_has_help_that_says_what_it_does(subtests: pytest.Subtests) -> None:
    for command in [(), *((name,) for name in COMMANDS), *SUBCOMMANDS]:
        with subtests.test(command=command):
            result = run(*command, "--help")
            assert result.exit_code == 0
            assert len(result.output) > 200
            assert "Traceback" not in result.output


def test_the_help_lists_every_command() -> None:
    output = run("--help").output
    assert [name for name in COMMANDS if not re.search(rf"^  {name} +\S", output, re.MULTILINE)] == []


def test_a_worker_takes_every_setting_as_a_flag() -> None:
    output = run("worker", "--help").output
    assert [name for name in NAMES if name not in WITHOUT_FLAG and f"{flag_of(name)} " not in output] == []


def test_no_secret_can_be_given_on_a_command_line_where_everybody_sees_it() -> None:
    assert {"kafka_password", "kafka_key_password", "redis_key_password"} <= WITHOUT_FLAG
    options = re.findall(r"^  (--\S+)", run("worker", "--help").output, re.MULTILINE)
    assert options
    assert [option for option in options if "password" in option] == []
    result = run("top", "--redis-url", "redis://ann:planted-secret@127.0.0.1:1/0")
    assert result.exit_code == 2
    assert "give it as STREAM_APP_REDIS_URL" in result.stderr
    assert "planted-secret" not in result.output


def test_a_setting_comes_from_the_flag_then_the_environment_then_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    @click.command()
    @settings_options("window_s", "pane_s", "channel_view_rates")
    def command(settings: Settings) -> None:
        seen.append(settings)

    monkeypatch.setenv("STREAM_APP_WINDOW_S", "12h")
    monkeypatch.setenv("STREAM_APP_PANE_S", "30m")
    result = CliRunner().invoke(command, ["--window", "2d", "--channel-view-rates", "email=0.4,blog=1"])
    assert result.exit_code == 0
    assert seen == [Settings(window_s=172_800.0, pane_s=1800.0, channel_view_rates={"email": 0.4, "blog": 1.0})]


def test_a_worker_runs_with_the_settings_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []
    seen_topics_of: list[Settings] = []

    def run_worker(settings: Settings, _found: object) -> int:
        seen.append(settings)
        return 7

    monkeypatch.setattr(worker_module, "run_worker", run_worker)
    monkeypatch.setattr(topics_module, "require", seen_topics_of.append)
    monkeypatch.setattr(startup, "fetch", lambda _settings: {})
    result = run("worker", "--http-port", 0, "--window", "48h")
    assert result.exit_code == 7
    assert seen == seen_topics_of == [Settings(http_port=0, window_s=172_800.0)]


def test_settings_survive_the_way_through_the_environment() -> None:
    settings = Settings(
        window_s=9000 * 86_400.0,
        pane_s=30 * 86_400.0,
        tick_s=0.25,
        dwell_s=0.1 + 0.2,
        share=0.75,
        redis_url=SecretUrl(""),
        population_sizes={"all": 20_000},
        metric_topics=("*", "tea"),
    )
    assert load(as_environment(settings)) == settings
    assert load(as_environment(Settings())) == Settings()


@pytest.mark.parametrize("text", ["24h", "15m", "90s", "250ms", "9000d", "1h", "36h"])
def test_a_duration_reads_as_it_was_written(text: str) -> None:
    assert duration_text(parse_duration_s(text)) == text


def test_settings_are_listed_for_people_and_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_APP_SHARE", "0.7")
    listed = run("settings").output
    assert [name for name in NAMES if environment_name(name) not in listed or flag_of(name) not in listed] == []
    rows = json.loads(run("settings", "--json").output)
    assert [row["name"] for row in rows] == list(NAMES)
    share = next(row for row in rows if row["name"] == "share")
    assert share == {
        "name": "share",
        "variable": "STREAM_APP_SHARE",
        "flag": "--share",
        "value": "0.7",
        "default": "0.8",
        "meaning": documentation()["share"],
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("demo", "--window", "x"), "--window='x': 'x' is not a duration"),
        (("demo", "--share", "2"), "--share='2': Expected `float` < 1.0"),
        (("demo", "--window", "25m"), "must be a multiple of"),
        (("demo", "no-such-file"), "does not exist"),
        (("demo", "--report", "no/such/dir/report.json"), "there is no directory"),
        (("demo", "--until", "soon"), "write 2016-10-06T00:00Z, a date, or epoch ms"),
        (
            ("demo", "--until", "1999"),
            "'1999' is no time: write 2016-10-06T00:00Z, a date like 2016-10-06, or epoch ms",
        ),
        (("demo", "--until", "20161006"), "is no time"),
        (("demo", "--until", "1475712000"), "which have 12 digits or more"),
        (("demo", "--employees", "--until", "2016-10-06"), "is tracked as a whole: without --until and --users"),
        (("demo", "--employees", "--users", "5000"), "is tracked as a whole: without --until and --users"),
        (("demo", "--employees", "--min-group", "6"), "needs topics of 12 users"),
        (("demo", "--speed", "0"), "write 60 for 60 times real time, or max"),
        (("top", "--redis-url", "nonsense"), "write it like redis://"),
        (("worker", "--http-port", "99999"), "--http-port='99999'"),
        (("frobnicate",), "No such command"),
    ],
)
def test_wrong_arguments_are_reported_with_status_2(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}WINDOWS", "24h")
    result = run("settings")
    assert result.exit_code == 2
    assert "STREAM_APP_WINDOWS is not a setting; did you mean STREAM_APP_WINDOW_S? see `stream-app settings`" in (
        result.stderr
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python forgets refused sockets
def test_unreachable_servers_are_reported_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.kafka.clients._COMMAND_TIMEOUT_MS", 300)
    events = tmp_path / "events.jsonl"
    events.write_text('{"event_id":1,"ts":1,"user_id":"ann"}\n')
    for arguments, message in (
        (("replay", events, "--brokers", "127.0.0.1:1"), "no Kafka answers at 127.0.0.1:1"),
        (("watch", "--brokers", "127.0.0.1:1"), "no Kafka answers at 127.0.0.1:1"),
        (("dead-letters", "list", "--brokers", "127.0.0.1:1"), "no Kafka answers at 127.0.0.1:1"),
        (("reset", "--brokers", "127.0.0.1:1", "--yes"), "no Kafka answers at 127.0.0.1:1"),
        (("top", "--redis-url", "redis://127.0.0.1:1/0"), "Redis at 127.0.0.1:1"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {message}")
        assert result.stderr.count("\n") == 1


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    result = run("replay", tmp_path / "empty.jsonl")
    assert result.exit_code == 1
    assert "is empty; name a file with one JSON event a line" in result.stderr


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2016-10-06T00:00Z", 1_475_712_000_000),
        ("2016-10-06", 1_475_712_000_000),
        ("2016-10-06T02:00:00.5+02:00", 1_475_712_000_500),
        ("1475712000000", 1_475_712_000_000),
        ("-1475712000000", -1_475_712_000_000),
    ],
)
def test_a_time_is_rfc_3339_or_a_date_or_epoch_ms(text: str, ms: int) -> None:
    assert TimeOption().convert(text, None, None) == ms


def test_a_time_without_a_zone_is_reported() -> None:
    with pytest.raises(click.BadParameter, match="has no zone: add Z for UTC"):
        TimeOption().convert("2016-10-06T00:00", None, None)


@pytest.mark.parametrize(("text", "speed"), [("60", 60.0), ("60x", 60.0), ("max", math.inf), ("0.5", 0.5)])
def test_a_speed_is_a_number_or_max(text: str, speed: float) -> None:
    assert Speed().convert(text, None, None) == speed
