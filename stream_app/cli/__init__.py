"""The command `stream-app`: its subcommands in the order a newcomer meets them, and how errors are printed."""

import sys
from importlib import import_module
from typing import Any

import click

from stream_app import __version__
from stream_app.cli.options import write_examples
from stream_app.cli.streams import guard_streams
from stream_app.core.readable import readable_lines
from stream_app.settings import SettingsError

_SECTIONS = {
    "Try it, with a Kafka and a Redis of its own": ("demo",),
    "Run it, with yours": ("topics", "worker", "replay"),
    "See what it finds": ("top", "watch", "alerts"),
    "Operate it": ("doctor", "dead-letters", "erase", "reset"),
    "Set it up": ("settings",),
}
_SUMMARIES = {
    "demo": "Track the demo stream, or recorded events, from start to finish.",
    "topics": "Create the Kafka topics, or check them.",
    "worker": "Run a worker: count, find connectors and mavens, raise flags.",
    "replay": "Produce recorded events to Kafka.",
    "top": "Print the top users of a topic, from Redis.",
    "watch": "Print the flags as they are raised, from Kafka.",
    "alerts": "Send alerts about flags: Slack, e-mail, webhooks …",
    "doctor": "Check everything it needs, and say what to do.",
    "dead-letters": "List the records that could not be counted; replay them.",
    "reset": "Delete everything that was counted, and start from nothing.",
    "erase": "Erase a person from everything the tracker holds.",
    "settings": "List every setting: its variable, value, default and meaning.",
}
_EXAMPLES = (
    "stream-app demo                                  see it at work, nothing else needed",
    "stream-app demo events.jsonl.gz --window 7d      the same with recorded events",
    "stream-app topics create && stream-app worker    run it, with the Kafka of STREAM_APP_BROKERS",
    "stream-app watch --json | jq .user_id            use what it finds",
)
_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


class _CommandError(click.ClickException):
    """An error in one line: what is wrong, where, and what to do next."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(readable_lines(message))
        self.exit_code = exit_code


class _Commands(click.Group):
    """Imports a command when it is used, so that --help is quick; prints errors without a traceback."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run as a process: the standard streams may be closed, full, or of an old coding."""
        guard_streams()
        try:
            return super().__call__(*args, **options)
        finally:
            sys.stdout.flush()

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, by section."""
        return [name for names in _SECTIONS.values() for name in names]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _SUMMARIES:
            return None
        command: click.Command = import_module(f"stream_app.cli.commands.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, and examples."""
        for section, names in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(12), _SUMMARIES[name]) for name in names])
        write_examples(formatter, _EXAMPLES)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the errors that stream_app raises on purpose are for people to read."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except click.ClickException as error:
            error.message = readable_lines(error.message)
            raise
        except SettingsError as error:
            raise _CommandError(str(error), _USAGE) from error
        except Exception as error:
            if type(error).__module__.startswith("stream_app."):
                raise _CommandError(getattr(error, "strerror", None) or str(error), _FAILED) from error
            raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version")
def main() -> None:
    """Find mass connectors and mass mavens in live event streams as they emerge.

    A few per cent of the users make 80 % of all impressions (the connectors) or of all posts (the mavens). This tracker
    counts post and share events from Kafka over a rolling window, finds those users for every topic, and flags who is
    becoming one of them.
    """
