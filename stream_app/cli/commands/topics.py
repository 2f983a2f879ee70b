"""`stream-app topics`: create and check."""

import click

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.kafka.clients import quiet_kafka
from stream_app.kafka.topics import TopicFinding, check, create
from stream_app.settings import Settings
from stream_app.terminal.output import console, print_json, table

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
        findings = create(settings)
    _show(findings, as_json=as_json)


@command.command("check", cls=Command)
@_json_option
@settings_options(*KAFKA_NAMES)
def check_command(settings: Settings, as_json: bool) -> None:
    """Tell what is missing or wrong; the exit status is 1 where anything is."""
    with quiet_kafka():
        findings = check(settings)
    _show(findings, as_json=as_json)


def _show(findings: list[TopicFinding], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "topic": finding.topic.name,
                    "purpose": finding.topic.purpose,
                    "partitions": finding.partitions,
                    "problem": finding.problem or None,
                }
                for finding in findings
            ]
        )
    else:
        rows = table("topic", "partitions", "purpose", "state", numbers={"partitions"})
        for finding in findings:
            state = "[green]ok[/]" if finding.exists else "[dim]not there; only alerts need it[/]"
            state = f"[red]{finding.problem}[/]" if finding.problem else state
            rows.add_row(finding.topic.name, str(finding.partitions), finding.topic.purpose, state)
        console().print(rows)
    if any(finding.problem for finding in findings):
        raise SystemExit(1)
