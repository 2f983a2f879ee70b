"""The systemd units: what they run exists, restarts fit the exit statuses, and systemd itself has no complaint."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import click
import pytest

from stream_app.cli import main
from stream_app.engine.liveness import watchdog
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.settings import FILE_SUFFIX, load
from stream_app.settings.env_file import read_env_file
from tests.unit.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
WORKERS = [path for path in UNITS if "alerts" not in path.name]
ENV_FILE = FOLDER / "stream-app.env"
USAGE = 2
MOST_EXPOSED = 2.0
"""Of systemd's ten: 0 is nothing, 10 is everything."""

unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)


def directives(path: Path) -> dict[str, list[str]]:
    """Every value of every directive."""
    found = defaultdict(list)
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def test_there_are_units_for_a_worker_for_several_and_for_the_alerts() -> None:
    assert [path.name for path in UNITS] == ["stream-app-alerts.service", "stream-app.service", "stream-app@.service"]


@unit
def test_it_runs_a_command_that_exists_with_options_that_exist(path: Path) -> None:
    (command,) = directives(path)["ExecStart"]
    program, *words = command.split()
    assert program == "/opt/stream-app/bin/stream-app"
    assert words[:2] == ["--env-file", "/etc/stream-app/stream-app.env"]
    found: click.Command | None = main
    rest = iter(words[2:])
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), next(rest))
    assert found is not None
    known = {option for param in found.params for option in param.opts}
    assert {word for word in rest if word.startswith("--")} <= known


@unit
def test_a_process_that_ends_is_started_again_except_where_a_person_has_to_act_first(path: Path) -> None:
    of = directives(path)
    assert of["Restart"] == ["always"]
    assert of["StartLimitIntervalSec"] == ["0"]
    prevented = {int(status) for status in of["RestartPreventExitStatus"][0].split()}
    assert prevented == ({USAGE, Exit.REFUSED} if path in WORKERS else {USAGE})


@pytest.mark.parametrize("path", WORKERS, ids=lambda path: path.name)
def test_a_worker_has_the_time_to_end_by_itself(path: Path) -> None:
    assert int(directives(path)["TimeoutStopSec"][0]) > watchdog._END_WITHIN_S


@unit
def test_the_settings_of_the_env_file_and_the_unit_fit_together(path: Path, tmp_path: Path) -> None:
    of = directives(path)
    credentials = {name: where for name, _, where in (line.partition(":") for line in of["LoadCredential"])}
    for name in credentials:
        text = "rediss://redis:6380/0" if name == "redis-url" else "planted-secret-long-enough"
        (tmp_path / name).write_text(text)
    given = [item for line in of["Environment"] for item in line.split()]
    own = dict(item.replace("%d", str(tmp_path)).split("=", 1) for item in given)
    settings = load({**read_env_file(str(ENV_FILE)), **own})
    assert settings.production
    assert settings.log_format == "json"
    used = {Path(value).name for name, value in own.items() if name.endswith(FILE_SUFFIX) and "CA" not in name}
    assert used == {*credentials}


def test_the_units_of_workers_differ_in_name_and_port_only() -> None:
    one, several = (path.read_text().splitlines() for path in WORKERS)
    different = [line for pair in zip(one, several, strict=True) for line in pair if pair[0] != pair[1]]
    assert all(line.startswith(("#", "Description=", "ExecStart=")) for line in different)
    assert len(different) == 6


@unit
def test_systemd_accepts_it_and_finds_it_closed(path: Path, tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("needs systemd-analyze")
    checked = tmp_path / path.name.replace("@", "@6066")
    checked.write_text(path.read_text().replace("/opt/stream-app/bin/stream-app", "/bin/true"))
    verified = subprocess.run([systemd, "verify", checked], capture_output=True, check=False, text=True, timeout=30)
    mine = [line for line in verified.stderr.splitlines() if "stream-app" in line]
    assert (verified.returncode, mine) == (0, []), verified.stderr
    judged = subprocess.run(
        [systemd, "security", "--offline=true", checked], capture_output=True, check=False, text=True, timeout=30
    )
    found = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert found, judged.stderr
    assert float(found[1]) <= MOST_EXPOSED
