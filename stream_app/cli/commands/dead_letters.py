"""`stream-app dead-letters`: list, show and replay."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from stream_app.cli.options import Command, TimeOption, settings_options
from stream_app.cli.views.dead_letters import (
    letter_as_json,
    pile_as_json,
    print_letter,
    print_piles,
    print_report,
    report_as_json,
)
from stream_app.core.events.dead_letter import DeadLetterId, Origin
from stream_app.kafka import operator_clients, topic_scan
from stream_app.kafka.clients import quiet_kafka
from stream_app.ops.dead_letters import replay, scan
from stream_app.ops.dead_letters.scan import Choice, Filed
from stream_app.settings import Settings
from stream_app.terminal.format import plural
from stream_app.terminal.output import print_json, reading_bar

_LATE = "late"
"""The reason of all that is in the late topic."""

_TOPICS = ("brokers", "dead_letters_topic", "late_topic")


@click.group("dead-letters")
def command() -> None:
    """Look at the records that could not be counted, and replay them.

    They lie in Kafka as they came, with headers that say where they came from and why they are there.
    """


def _options(*settings: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What all three have in common."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            settings_options(*_TOPICS, *settings),
            click.option("--json", "as_json", is_flag=True, help="print JSON"),
            click.option("--late", is_flag=True, help="the events older than the window too, from the late topic"),
            click.option(
                "--since", "since_ms", type=TimeOption(), metavar="TIME", help="set aside at that time or later"
            ),
            click.option("--reason", metavar="NAME", help="of that reason, such as not-json"),
        ):
            function = option(function)
        return function

    return decorate


@command.command(
    "list",
    cls=Command,
    examples=("stream-app dead-letters list --late", "stream-app dead-letters list --since 2026-10-06 --json"),
)
@_options()
def list_command(*, settings: Settings, reason: str | None, since_ms: int | None, late: bool, as_json: bool) -> None:
    """How many there are, by reason and by the topic they came from.

    The same record can be there twice, after a crash: `distinct` counts it once. `replayed` of these have been sent
    again. With --json `not_replayable` counts those that hold no value to send.
    """
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as filed:
        piles = scan.piles(filed(), Choice(reason, since_ms))
    if as_json:
        print_json([pile_as_json(pile) for pile in piles])
    else:
        print_piles(piles, " and ".join(topics))


@command.command(
    "show",
    cls=Command,
    examples=(
        "stream-app dead-letters show --reason invalid --limit 3",
        "stream-app dead-letters show influence.posts 3 1207      the record that was read there",
        "stream-app dead-letters show --json | jq -r .value",
    ),
)
@click.argument("origin", nargs=-1, metavar="[TOPIC PARTITION OFFSET]")
@click.option("--limit", type=click.IntRange(min=1), default=10, metavar="N", help="so many at most  [10]")
@_options()
def show_command(
    *,
    settings: Settings,
    origin: Sequence[str],
    limit: int,
    reason: str | None,
    since_ms: int | None,
    late: bool,
    as_json: bool,
) -> None:
    """The records themselves, the newest first.

    With --json one object a line: `key` and `value` are text, or null where they are not UTF-8; then `key_base64` and
    `value_base64` hold the bytes. `replayable` is false where there is no value to send.
    """
    choice = Choice(reason, since_ms, _origin(origin))
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as filed:
        found = scan.newest(filed(), choice, limit)
    for one, replayed in found:
        if as_json:
            sys.stdout.write(json.dumps(letter_as_json(one, replayed=replayed), ensure_ascii=False) + "\n")
        else:
            print_letter(one, replayed=replayed)
    if not found:
        click.echo(f"There is none of these in {' and '.join(topics)}.", err=True)
        raise SystemExit(1)


@command.command(
    "replay",
    cls=Command,
    examples=(
        "stream-app dead-letters replay --reason ahead-of-clock --dry-run",
        "stream-app dead-letters replay --reason key-not-user --rekey",
        "stream-app dead-letters replay --all --since 2026-10-06T08:00Z --yes",
    ),
)
@click.option("--all", "everything", is_flag=True, help="of every reason; one of --reason and --all is needed")
@click.option(
    "--rekey", is_flag=True, help="key-not-user, wrong-partition: make the key the user_id, and place it anew"
)
@click.option(
    "--max-attempts", type=click.IntRange(min=1), default=3, metavar="N", help="what was replayed so often stays  [3]"
)
@click.option("--dry-run", is_flag=True, help="only say what would be sent")
@click.option("--yes", is_flag=True, help="do not ask")
@_options("posts_topic", "shares_topic")
def replay_command(
    *,
    settings: Settings,
    reason: str | None,
    everything: bool,
    since_ms: int | None,
    late: bool,
    rekey: bool,
    max_attempts: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send records again to the topic and partition they came from, with key and value as they were.

    First mend what was wrong: a setting, a clock, a release. Each record is sent once: repeating the command sends only
    what is new. What is rejected again is a new dead letter, which knows how often it was replayed. Not replayable is
    what holds no value: where STREAM_APP_PSEUDONYMS is true key and value are not copied, and the record itself is only
    in the topic it came from. The exit status is 1 where something is left out that was not replayed before.
    """
    if not everything and reason is None:
        raise click.UsageError("say which: --reason NAME, or --all; `stream-app dead-letters list` shows the reasons")
    choice = Choice(reason, since_ms)
    rules = replay.ReplayRules(settings.input_topics, max_attempts, rekey)
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as filed:
        replayed = {found for found in filed() if isinstance(found, DeadLetterId)}
        report = replay.DeadLetterReport()
        for _ in replay.sort_out(filed(), choice, rules, replayed, report):
            pass  # only counted
        count = report.sent.total()
        sending = bool(count) and not dry_run
        asking = sending and not yes and sys.stdin.isatty()
        if (asking or not sending) and not as_json:
            print_report(report, planned=True)
        if asking:
            click.confirm(f"Send {plural(count, 'record')}?", abort=True, err=True)
        if sending:
            report = replay.DeadLetterReport()
            with operator_clients.producer(settings) as producer:
                replay.send(producer, replay.sort_out(filed(), choice, rules, replayed, report))
    if as_json:
        print_json(report_as_json(report, dry_run=dry_run))
    elif sending:
        print_report(report, planned=False)
    if report.refused:
        raise SystemExit(1)


def _origin(given: Sequence[str]) -> Origin | None:
    if not given:
        return None
    match given:
        case [topic, partition, offset] if partition.isdigit() and offset.isdigit():
            return Origin(topic, int(partition), int(offset))
    raise click.UsageError("a record is named by its topic, partition and offset, such as influence.posts 3 1207")


@contextmanager
def _opened(settings: Settings, topics: Sequence[str]) -> Iterator[Callable[[], Iterator[Filed | DeadLetterId]]]:
    """What reads all that is set aside now: the same records each time it is called."""
    with quiet_kafka(), operator_clients.consumer(settings) as consumer:
        partitions = topic_scan.partitions_of(consumer, topics)
        if not partitions:
            raise click.ClickException(
                f"Kafka at {settings.brokers} has no topic {topics[0]}: make it with "
                "`stream-app topics create`, or name another with --dead-letters-topic"
            )
        spans = topic_scan.spans(consumer, partitions)

        def filed() -> Iterator[Filed | DeadLetterId]:
            with reading_bar() as progress:
                yield from scan.filed_in(consumer, spans, progress)

        yield filed
