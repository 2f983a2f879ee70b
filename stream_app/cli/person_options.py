"""What the commands about one person share: their id, waiting for the workers, and saying what begins."""

import sys
from typing import Any

import click

from stream_app.cli.options import Duration
from stream_app.ops.erasure.matcher import LONGEST_ID
from stream_app.terminal.output import echo


class _UserId(click.ParamType):
    """The id of a person as it is in events; - reads it from stdin, so that it stays out of the shell's history."""

    name = "user"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id."""
        user = sys.stdin.readline().rstrip("\r\n") if value == "-" else str(value)
        if not 0 < len(user) <= LONGEST_ID:
            self.fail(f"it has {len(user)} characters, and an id has 1 to {LONGEST_ID}", param, ctx)
        return user


user_argument = click.argument("user", type=_UserId())
wait_option = click.option(
    "--wait", "wait_s", type=Duration(), default="60s", show_default=True, help="how long to wait for the workers"
)


def print_step(step: str) -> None:
    """Say what begins, to a person who waits."""
    if sys.stderr.isatty():
        echo(f"{step} …", dim=True, err=True)
