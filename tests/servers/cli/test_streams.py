"""Standard streams that are closed, full, or of an old coding: commands end without a traceback, as Unix tools do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.demo.embedded.process import free_port

ROOT = Path(__file__).parents[3]
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "settings": ["settings"],
    "settings json": ["settings", "--json"],
    "replay help": ["replay", "--help"],
    "wrong usage": ["nonsense"],
    "no broker": ["watch"],
    "doctor": ["doctor"],
    "doctor json": ["doctor", "--json"],
    "topics": ["topics", "check"],
    "dead letters": ["dead-letters", "list"],
    "reset": ["reset", "--dry-run"],
    "erase": ["erase", "ann", "--dry-run"],
    "top": ["top"],
    "replay": ["replay", str(ROOT / "README.md")],
}
PIPE_CLOSED = 141

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]


def ended(arguments: list[str], shell_end: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
    """`stream-app …` with the redirections of a shell; the exit status is that of stream-app."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("STREAM_APP_")}
    environment |= {"PYTHONPATH": str(ROOT), "STREAM_APP_BROKERS": f"127.0.0.1:{free_port()}", **more}
    environment |= {"STREAM_APP_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    script = f'"$0" -m stream_app "$@" {shell_end}; exit ${{PIPESTATUS[0]}}'
    command = ["bash", "-c", script, sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_every_command_ends_without_a_traceback_whatever_its_streams_are(arguments: list[str]) -> None:
    plain = ended(arguments, "")
    for end in ("| true", ">/dev/full", ">&-", "<&- >&- 2>&-", "2>/dev/full"):
        found = ended(arguments, end)
        assert b"Traceback" not in found.stderr + found.stdout, end
        assert b"Exception ignored" not in found.stderr, end
        statuses = {plain.returncode, PIPE_CLOSED} if end == "| true" else {plain.returncode, 1}
        assert found.returncode in statuses, end
        if plain.stdout and end == ">/dev/full":
            assert b"cannot write to the standard output: No space left on device" in found.stderr
            assert found.returncode == 1
        if plain.stdout and end == ">&-":
            assert b"cannot write to the standard output: Bad file descriptor" in found.stderr


def test_a_reader_that_ends_is_no_error_and_has_the_status_of_sigpipe() -> None:
    found = ended(["settings", "--json"], "| sleep 0")
    assert (found.returncode, found.stderr) == (PIPE_CLOSED, b"")


@pytest.mark.parametrize("coding", ["iso-8859-1", "ascii", "cp1252", "utf-8"])
def test_old_terminals_show_what_they_can(coding: str) -> None:
    name = "“θ” 👩 é"
    for arguments in (["settings"], ["doctor"], ["replay", "--help"], ["top", "--topic", name]):
        found = ended(arguments, "", PYTHONIOENCODING=coding, STREAM_APP_APP_ID=name)
        assert b"Traceback" not in found.stderr
        (found.stdout + found.stderr).decode("utf-8" if coding == "ascii" else coding)  # click writes UTF-8 to ASCII
    shown = json.loads(ended(["settings", "--json"], "", PYTHONIOENCODING=coding, STREAM_APP_APP_ID=name).stdout)
    assert next(row["value"] for row in shown if row["name"] == "app_id") == name
