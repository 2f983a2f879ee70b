"""`stream-app dead-letters`: list, show and replay; and the duplicates."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from stream_app.cli.options import Command, TimeOption, settings_options
from stream_app.cli.views.dead_letters import (
    group_as_json,
    letter_as_json,
    print_groups,
    print_letter,
    print_report,
    report_as_json,
)
from stream_app.cli.views.duplicates import duplicates_as_json, print_duplicates
from stream_app.core.events.dead_letter import DeadLetterId, Origin
from stream_app.kafka import topic_scan
from stream_app.kafka.clients import open_consumer, open_producer, quiet_kafka
from stream_app.ops.dead_letters import duplicate_lookup, replay, scan
from stream_app.ops.dead_letters.origins import origins_in
from stream_app.ops.dead_letters.scan import Entry, LetterFilter
from stream_app.settings import Settings
from stream_app.terminal.format import plural
from stream_app.terminal.output import echo, print_json, reading_bar, write_json

_LATE = "late"
"""The reason of every event in the late topic."""

_TOPICS = ("brokers", "dead_letters_topic", "late_topic")


@click.group("dead-letters")
def command() -> None:
    """List the records that could not be counted, and replay them.

    Kafka holds them as they came, with headers that say where they came from and why they were not counted.
    """


def _options(*settings: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that all three share."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            settings_options(*_TOPICS, *settings),
            click.option("--json", "as_json", is_flag=True, help="print JSON"),
            click.option("--late", is_flag=True, help="also the events older than the window, from the late topic"),
            click.option(
                "--since", "since_ms", type=TimeOption(), metavar="TIME", help="written at that time or later"
            ),
            click.option("--reason", metavar="NAME", help="only that reason, such as not-json"),
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
    """Count them by reason and by the topic they came from.

    After a crash the same record can be there twice: `distinct` counts it once. `replayed` is how many of these have
    been sent again. With --json, `not_replayable` counts those without a value to send.
    """
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as entries:
        groups = scan.grouped(entries(), LetterFilter(reason, since_ms))
    if as_json:
        print_json([group_as_json(group) for group in groups])
    else:
        print_groups(groups, " and ".join(topics))


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
@click.option("--limit", type=click.IntRange(min=1), default=10, metavar="N", help="at most N  [10]")
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
    """Print the records, the newest first.

    With --json, one object a line: `key` and `value` are text, or null where they are not UTF-8; then `key_base64` and
    `value_base64` hold the bytes. `replayable` is false where there is no value to send. With STREAM_APP_MIN_GROUP, or
    STREAM_APP_INDIVIDUALS other than all, key and value are hidden: they name people.
    """
    wanted, hide = LetterFilter(reason, since_ms, _origin(origin)), settings.disclosure.is_limited
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as entries:
        found = scan.newest(entries(), wanted, limit)
    for one, replayed in found:
        if as_json:
            write_json(json.dumps(letter_as_json(one, replayed=replayed, hide=hide), ensure_ascii=False))
        else:
            print_letter(one, replayed=replayed, hide=hide)
    if not found:
        echo(f"There are none of these in {' and '.join(topics)}.", err=True)
        raise SystemExit(1)


@command.command(
    "duplicates",
    cls=Command,
    examples=("stream-app dead-letters duplicates", "stream-app dead-letters duplicates --json | jq .newest"),
)
@click.option("--limit", type=click.IntRange(min=1), default=10, metavar="N", help="at most N  [10]")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@settings_options("brokers", "posts_topic", "shares_topic", "curves_topic")
def duplicates_command(*, settings: Settings, limit: int, as_json: bool) -> None:
    """Count the events that came again, and show the newest of them.

    An event comes again when post or share, user_id and event_id are those of an event in the window. It is counted
    once and is no dead letter: nothing is set aside. The workers keep the places of the newest 20 of each partition, a
    few of each batch; the events are read back from the input topics. With --json, times are epoch ms, and what is not
    known is null.
    """
    hide_ids = settings.pseudonyms or settings.disclosure.is_limited
    with quiet_kafka(), open_consumer(settings) as consumer:
        with reading_bar() as progress:
            found = duplicate_lookup.sampled(consumer, settings, progress)
        shown = duplicate_lookup.looked_up(consumer, settings, found.newest[:limit])
    if as_json:
        print_json(duplicates_as_json(found, shown, hide_ids=hide_ids))
    else:
        print_duplicates(found, shown, hide_ids=hide_ids)


@command.command(
    "replay",
    cls=Command,
    examples=(
        "stream-app dead-letters replay --reason ahead-of-clock --dry-run",
        "stream-app dead-letters replay --reason key-not-user --rekey",
        "stream-app dead-letters replay --all --since 2026-10-06T08:00Z --yes",
    ),
)
@click.option("--all", "everything", is_flag=True, help="every reason; either --reason or --all is required")
@click.option(
    "--rekey",
    is_flag=True,
    help="key-not-user, wrong-partition: send with the user_id as the key, to the partition of that key",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=3,
    metavar="N",
    help="leave out records that were replayed N times  [3]",
)
@click.option("--dry-run", is_flag=True, help="only print what would be sent")
@click.option("--yes", is_flag=True, help="do not ask for confirmation")
@_options("posts_topic", "shares_topic", "retractions_topic")
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

    First correct the cause: a setting, a clock, a release. Each record is sent once: repeating the command sends only
    new ones. What was too large to be copied, or shares a letter with others, is read from the topic it came from, as
    long as Kafka keeps it. A record that is rejected again becomes a new dead letter with its number of attempts. A
    record without a value cannot be replayed: with STREAM_APP_PSEUDONYMS, key and value are not copied, and only the
    topic that the record came from has it. The exit status is 1 where a record that was never replayed is left out.
    """
    if not everything and reason is None:
        raise click.UsageError("say which: --reason NAME, or --all; `stream-app dead-letters list` shows the reasons")
    wanted = LetterFilter(reason, since_ms)
    rules = replay.ReplayRules(settings.source_topics, max_attempts, rekey)
    topics = scan.topics_of(settings, late=late or reason == _LATE)
    with _opened(settings, topics) as entries, open_consumer(settings) as reader:
        origins = origins_in(reader)
        replayed = {found for found in entries() if isinstance(found, DeadLetterId)}
        report = replay.DeadLetterReport()
        for _ in replay.messages_of(entries(), wanted, rules, replayed, report, origins):
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
            with open_producer(settings) as producer:
                replay.send(producer, replay.messages_of(entries(), wanted, rules, replayed, report, origins), report)
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
    raise click.UsageError("name a record by its topic, partition and offset, such as influence.posts 3 1207")


@contextmanager
def _opened(settings: Settings, topics: Sequence[str]) -> Iterator[Callable[[], Iterator[Entry]]]:
    """A function that reads everything in the topics now: the same records each time it is called."""
    with quiet_kafka(), open_consumer(settings) as consumer:
        partitions = topic_scan.partitions_of(consumer, topics)
        if not partitions:
            raise click.ClickException(
                f"Kafka at {settings.brokers} has no topic {topics[0]}: create it with "
                "`stream-app topics create`, or name another with --dead-letters-topic"
            )
        spans = topic_scan.spans(consumer, partitions)

        def entries() -> Iterator[Entry]:
            with reading_bar() as progress:
                yield from scan.letters_in(consumer, spans, progress)

        yield entries
