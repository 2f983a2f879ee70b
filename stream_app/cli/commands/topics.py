"""`stream-app topics`: create and check."""

import click
from rich.text import Text

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.kafka.clients import quiet_kafka
from stream_app.kafka.topics import TopicState, check, create
from stream_app.settings import Settings
from stream_app.terminal.output import console, marked, print_json, table

_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group("topics")
def command() -> None:
    """Create the Kafka topics, or check them."""


@command.command(
    "create", cls=Command, examples=("stream-app topics create --brokers kafka-1:9092,kafka-2:9092 --replication 3",)
)
@_json_option
@settings_options(*KAFKA_NAMES)
def create_command(settings: Settings, as_json: bool) -> None:
    """Create the topics that are missing, then check all."""
    with quiet_kafka():
        states = create(settings)
    _show(states, as_json=as_json)


@command.command("check", cls=Command)
@_json_option
@settings_options(*KAFKA_NAMES)
def check_command(settings: Settings, as_json: bool) -> None:
    """Print what is missing or wrong; the exit status is 1 where anything is."""
    with quiet_kafka():
        states = check(settings)
    _show(states, as_json=as_json)


def _show(states: list[TopicState], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "topic": state.topic.name,
                    "purpose": state.topic.purpose,
                    "partitions": state.partitions,
                    "problem": state.problem or None,
                }
                for state in states
            ]
        )
    else:
        rows = table("topic", "partitions", "purpose", "state", numbers={"partitions"})
        for state in states:
            shown = Text("ok", "green") if state.exists else Text("not there; only alerts need it", "dim")
            shown = marked("[red]{}[/]", state.problem) if state.problem else shown
            rows.add_row(state.topic.name, str(state.partitions), state.topic.purpose, shown)
        console().print(rows)
    if any(state.problem for state in states):
        raise SystemExit(1)
