"""Whether the arguments of a container are a command of stream-app."""

from collections.abc import Sequence

import click

from stream_app.cli import main


def is_command(words: Sequence[str]) -> bool:
    """Whether `stream-app` knows these words: commands down to one that runs, no options."""
    command: click.Command | None = main
    for word in words:
        if not isinstance(command, click.Group):
            return False
        command = command.get_command(click.Context(command), word)
    return command is not None and not isinstance(command, click.Group)
