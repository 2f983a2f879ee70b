"""The command `stream-app`: its subcommands in the order a newcomer meets them, and how errors are printed."""

import sys
from functools import partial
from importlib import import_module
from typing import Any

import click

from stream_app import __version__
from stream_app.cli.options import write_examples
from stream_app.cli.service_errors import end_with_record, logs_json
from stream_app.cli.streams import guard_streams
from stream_app.core.readable import readable_lines
from stream_app.settings import ENV_FILE, SettingsError, use_env_file

_SECTIONS = {
    "Try it, with a Kafka and a Redis of its own": ("demo", "backtest", "funnel"),
    "Run it, with yours": ("topics", "worker", "replay"),
    "See what it finds": ("top", "watch", "alerts"),
    "Operate it": ("doctor", "dead-letters", "person", "erase", "opt-out", "reset", "migrate"),
    "Set it up": ("settings",),
}
_MODULES = {
    "backtest": "offline.backtest",
    "erase": "state.erase",
    "funnel": "offline.funnel_command",
    "migrate": "state.migrate",
    "opt-out": "state.opt_out",
    "reset": "state.reset",
}
"""Those that are not named like their command."""
_SUMMARIES = {
    "demo": "Track the demo stream, or recorded events, from start to finish.",
    "backtest": "Find what it would have flagged in recorded events, and how often rightly.",
    "funnel": "Say who comes, who brings them and who comes back, in recorded events.",
    "topics": "Create the Kafka topics, or check them.",
    "worker": "Run a worker: count, find connectors, mavens and recruiters, raise flags.",
    "replay": "Produce recorded events to Kafka.",
    "top": "Print the top users of a topic, from Redis.",
    "watch": "Print the flags as they are raised, from Kafka.",
    "alerts": "Send alerts about flags: Slack, e-mail, webhooks …",
    "doctor": "Check everything it needs, and say what to do.",
    "dead-letters": "List the records that could not be counted; replay them.",
    "reset": "Delete everything that was counted, and start from nothing.",
    "migrate": "Change the number of partitions.",
    "erase": "Erase a person from everything the tracker holds.",
    "person": "Export what is held of a person.",
    "opt-out": "Have a person never count, or count again.",
    "settings": "List every setting: its variable, value, default and meaning.",
}
_EXAMPLES = (
    "stream-app demo                                  see it at work, nothing else needed",
    "stream-app demo events.jsonl.gz --window 7d      the same with recorded events",
    "stream-app topics create && stream-app worker    run it, with the Kafka of STREAM_APP_BROKERS",
    "stream-app watch --json | jq .user_id            use what it finds",
)
_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130
_LOGS_JSON = "stream_app.logs_json"


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
        module = _MODULES.get(cmd_name) or cmd_name.replace("-", "_")
        command: click.Command = import_module(f"stream_app.cli.commands.{module}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, and examples."""
        for section, names in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(12), _SUMMARIES[name]) for name in names])
        write_examples(formatter, _EXAMPLES)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that `args` begin with; whether its errors are log records is known from here on."""
        ctx.meta[_LOGS_JSON] = partial(logs_json, [*args])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the errors that stream_app raises on purpose are for people to read."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            shown = _shown(error)
            if ctx.meta.get(_LOGS_JSON, bool)():
                message = shown.format_message() if shown else f"this process ends: {type(error).__name__}"
                end_with_record(message, shown.exit_code if shown else _FAILED, None if shown else error)
            if shown is None or shown is error:
                raise
            raise shown from error


def _shown(error: Exception) -> click.ClickException | None:
    """What a person sees of an error, in one line; None for one that nobody expected."""
    if isinstance(error, click.ClickException):
        error.message = readable_lines(error.message)
        return error
    if isinstance(error, SettingsError):
        return _CommandError(str(error), _USAGE)
    if type(error).__module__.startswith("stream_app."):
        return _CommandError(getattr(error, "strerror", None) or str(error), _FAILED)
    return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version")
@click.option(
    "--env-file",
    envvar=ENV_FILE,
    metavar="FILE",
    help="read variables from FILE, lines of NAME=VALUE; the environment wins over it",
)
def main(env_file: str | None) -> None:
    """Find mass connectors, mavens and recruiters in live event streams as they emerge.

    A few per cent of the users make 80 % of all impressions (the connectors) or of all posts (the mavens), or bring in
    80 % of those who are brought in by somebody (the recruiters). This tracker counts post and share events from Kafka
    over a rolling window, finds those users for every topic, and flags who is becoming one of them.
    """
    if env_file:
        use_env_file(env_file)
