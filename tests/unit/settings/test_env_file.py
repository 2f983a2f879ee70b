"""The env file: what is read, what is refused with file and line, and who wins over it."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from stream_app.cli import main
from stream_app.settings import SettingsError
from stream_app.settings.env_file import read_env_file

NAME = "STREAM_APP_BROKERS"


def read(path: Path, text: str | bytes) -> dict[str, str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_env_file(str(path))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  A = b  ", "b"),
        ("A=", ""),
        ("A=b=c", "b=c"),
        ("A=b # c", "b # c"),
        ("A=$B ${C}", "$B ${C}"),
        ("A=it's", "it's"),
        ("A='b c'", "b c"),
        ("A=' b '", " b "),
        (r"A='\n $B'", r"\n $B"),
        ('A="b c"', "b c"),
        (r'A="say \"b\" \\ \$C \d"', r'say "b" \ $C \d'),
        ("A=''", ""),
        ("A=ä☕", "ä☕"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_is_read_as_compose_and_systemd_read_it(line: str, value: str, end: str, tmp_path: Path) -> None:
    assert read(tmp_path / "env", f"# a comment\n\n; another\n{line}{end}") == {"A": value}


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert read(tmp_path / "env", b"\xef\xbb\xbfA=b\n") == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=b\nexport B=c", r"env, line 2: write NAME=VALUE without `export`"),
        ("A", r"env, line 1: there is no `=`"),
        ("=a", r"env, line 1: '' is no name"),
        ("1A=b", r"env, line 1: '1A' is no name"),
        ("A-B=b", r"env, line 1: 'A-B' is no name"),
        ("A='planted", r"env, line 1: the value of A begins with ' and does not end with it"),
        ('A="planted\nb"', r'env, line 1: the value of A begins with " and'),
        ('A="b" # planted', r'env, line 1: the value of A begins with " and'),
        ("A=planted \\\nB=c", r"env, line 1: the value of A ends in a backslash"),
        ("A=b\n\nA=planted", r"env, line 3: A is set in line 1 already"),
        ("A=b\0", r"env, line 1: the value of A holds a zero byte"),
    ],
)
def test_an_error_names_file_and_line_and_no_value(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        read(tmp_path / "env", text)
    assert "planted" not in str(raised.value)


@pytest.mark.parametrize(("text", "why"), [(b"\xff\xfe", "not UTF-8"), (None, "No such file")])
def test_a_file_that_cannot_be_read_is_named(text: bytes | None, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"env' cannot be read .*{why}"):
        read(tmp_path / "env", text) if text else read_env_file(str(tmp_path / "env"))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"stream-app-env-{os.getpid()}"  # noqa: S108 - a name of its own
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        values = read_env_file(str(path))
    except SettingsError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(name.isidentifier() for name in values)
    finally:
        path.unlink()


def shown(variable: str, *words: str, **environ: str) -> str:
    """The value of a setting, as `stream-app settings` lists it."""
    result = CliRunner().invoke(main, [*words, "settings", "--json"], env=environ)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    return str(next(row["value"] for row in rows if row["variable"] == variable))


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names brokers; the environment is as before after the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    path = tmp_path / "stream-app.env"
    path.write_text(f"{NAME}=kafka:9092\n")
    return path


def test_a_command_takes_its_settings_from_the_file(env_file: Path) -> None:
    assert shown(NAME, "--env-file", str(env_file)) == "kafka:9092"


def test_the_file_may_be_named_by_the_environment(env_file: Path) -> None:
    assert shown(NAME, STREAM_APP_ENV_FILE=str(env_file)) == "kafka:9092"


def test_the_environment_wins_over_the_file(env_file: Path) -> None:
    assert shown(NAME, "--env-file", str(env_file), **{NAME: "other:9092"}) == "other:9092"


def test_an_unknown_setting_in_the_file_is_an_error_with_a_suggestion(env_file: Path) -> None:
    env_file.write_text("STREAM_APP_BROKER=kafka:9092\n")
    result = CliRunner().invoke(main, ["--env-file", str(env_file), "settings"])
    assert result.exit_code == 2
    assert "STREAM_APP_BROKER is not a setting; did you mean STREAM_APP_BROKERS?" in result.stderr


def test_a_wrong_line_is_one_line_for_people(env_file: Path) -> None:
    env_file.write_text("oops\n")
    result = CliRunner().invoke(main, ["--env-file", str(env_file), "settings"])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {env_file}, line 1: there is no `=`")
