"""`stream-app watch`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any

import click

from stream_app.cli.options import Command, settings_options
from stream_app.cli.streams import PipeClosedExit
from stream_app.core.messages import Flag, FlagType, flag_in
from stream_app.kafka.clients import open_consumer, quiet_kafka
from stream_app.kafka.topic_scan import spans
from stream_app.ops.flag_history import flag_partitions
from stream_app.settings import Settings
from stream_app.terminal.flag_line import flag_line
from stream_app.terminal.output import console, echo, write_json

_POLL_MS = 500
_STYLES: dict[str, dict[str, Any]] = {
    FlagType.EMERGING: {"fg": "magenta", "bold": True},
    FlagType.ENTERED: {"fg": "green"},
    FlagType.FADING: {"fg": "yellow"},
    FlagType.LEFT: {"fg": "red"},
}


@click.command(
    "watch",
    cls=Command,
    examples=(
        "stream-app watch",
        """stream-app watch --json | jq --unbuffered 'select(.type == "emerging") | .user_id'""",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object a line")
@click.option("--from-beginning", is_flag=True, help="start with the oldest flag that Kafka has, not with the next one")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="exit after N flags")
@settings_options("brokers", "flags_topic")
def command(settings: Settings, as_json: bool, from_beginning: bool, limit: int | None) -> None:
    """Print the flags as they are raised, until Ctrl-C.

    A flag can come twice, with the same flag_id, when partitions move to another worker.
    """
    with _flags(settings, from_beginning=from_beginning) as flags, suppress(PipeClosedExit):  # as after `| head`
        if sys.stderr.isatty():
            echo(f"Waiting for flags on {settings.flags_topic}; Ctrl-C ends it.", dim=True, err=True)
        shown = ((flag, value) for value in flags if (flag := flag_in(value)) is not None and _shows(settings, flag))
        for flag, value in islice(shown, limit):
            _print(flag, value, as_json=as_json)


def _shows(settings: Settings, flag: Flag) -> bool:
    return settings.disclosure.shows(flag, settings.version)


def _print(flag: Flag, value: bytes, *, as_json: bool) -> None:
    if as_json:
        write_json(value.decode(errors="replace").replace("\n", " "))
        return
    line = flag_line(flag).replace(flag.type, click.style(flag.type, **_STYLES[flag.type]), 1)
    click.echo(line, color=False if console().no_color else None)


@contextmanager
def _flags(settings: Settings, *, from_beginning: bool) -> Iterator[Iterator[bytes]]:
    """The values of the flags as they come, of all partitions."""
    with ExitStack() as stack:
        with quiet_kafka():
            reader = stack.enter_context(open_consumer(settings))
        for partition, span in spans(reader, flag_partitions(settings, reader)).items():
            reader.seek(partition, span.start if from_beginning else span.end)
        yield _values(reader)


def _values(consumer: Any) -> Iterator[bytes]:
    while True:
        for records in consumer.poll(timeout_ms=_POLL_MS).values():
            yield from (record.value for record in records if record.value)
