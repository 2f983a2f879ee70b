"""Views of dead letters and late events: tables and text for people, JSON for programs."""

from base64 import b64encode
from collections.abc import Sequence
from shlex import quote
from typing import Any

import click

from stream_app.core.events.dead_letter import DeadLetter
from stream_app.core.readable import escaped
from stream_app.ops.dead_letters.replay import NOTHING_TO_SEND, DeadLetterReport, Skipped
from stream_app.ops.dead_letters.scan import LetterGroup, StoredLetter
from stream_app.terminal.format import moment, plural
from stream_app.terminal.output import console, echo, table

_MOST_CHARACTERS = 2000
_ELSEWHERE = "what it is about is read from the topic it came from, as long as Kafka keeps it"
_WITHHELD = """\
With STREAM_APP_PSEUDONYMS, key and value are not copied. As long as Kafka keeps the record, it is in the topic it came
from (`stream-app dead-letters show`): correct the cause, and have its producer send it again."""

_UNREAD = """\
To read a batch that is too large, raise STREAM_APP_MAX_UNPACKED_BYTES for workers and this command, then replay again.
One that is malformed only its producer can send again, corrected: `stream-app dead-letters show` says what is wrong."""


def print_groups(groups: Sequence[LetterGroup], where: str) -> None:
    """A table, and an example of each group."""
    if not groups:
        echo(f"There are none in {where}.")
        return
    numbers = {"records", "distinct", "replayed"}
    shown = table("reason", "from", "records", "distinct", "replayed", numbers=numbers)
    for group in groups:
        counts = (group.records, group.distinct, group.replayed)
        shown.add_row(escaped(group.reason), escaped(group.topic), *(f"{count:,}" for count in counts))
    console().print(shown)
    click.echo("The newest of each:")
    for group in groups:
        click.echo(
            f"  {click.style(escaped(group.reason), bold=True)} from {escaped(group.topic)}, "
            f"{moment(group.last_ms)} (the first {moment(group.first_ms)})\n    {escaped(group.example)}"
        )
        if group.elsewhere:
            click.echo(f"    {plural(len(group.elsewhere), 'letter')} without a value: {_ELSEWHERE}")
        for why, some in ((Skipped.WITHHELD, group.withheld), (Skipped.EMPTY, group.empty)):
            if some:
                click.echo(f"    {len(some):,} cannot be replayed: {why.value}")
    if any(group.withheld for group in groups):
        click.echo(f"\n{_WITHHELD}")


def group_as_json(group: LetterGroup) -> dict[str, Any]:
    """A group; times in epoch ms."""
    return {
        "reason": group.reason,
        "topic": group.topic,
        "records": group.records,
        "distinct": group.distinct,
        "replayed": group.replayed,
        "not_replayable": group.not_replayable,
        "first_ms": group.first_ms,
        "last_ms": group.last_ms,
        "example": group.example,
    }


def print_letter(stored: StoredLetter, *, replayed: bool, hide: bool = False) -> None:
    """One record, as far as it is readable; `hide`: without key and value."""
    letter, place = stored.letter, stored.place
    attempts = f", replayed {plural(letter.attempts, 'time')} before" if letter.attempts else ""
    state = ", replayed since" if replayed else ""
    click.echo(
        f"{click.style(escaped(letter.reason), bold=True)}  {escaped(letter.origin.topic)} "
        f"{letter.origin.partition} {letter.origin.offset}{attempts}{state}"
    )
    lines = {
        "why": escaped(letter.message),
        "when": f"{moment(stored.timestamp_ms)}, at {escaped(place.topic)} {place.partition} {place.offset}",
        "key": _bytes_text(letter.key),
        "value": _bytes_text(letter.value),
    }
    if (whole := letter.whole) is not None:
        lines["value"] = f"{_bytes_text(whole.head)} … (shortened; {whole.value_bytes:,} bytes in all)"
    elif (shared := letter.shared) is not None:
        lines["value"] = f"of {shared.records:,} records at offsets {letter.origin.offset} to {shared.last}"
    if hide:
        lines["key"] = lines["value"] = "hidden: it names people (STREAM_APP_MIN_GROUP, STREAM_APP_INDIVIDUALS)"
    for name, text in lines.items():
        click.echo(f"  {click.style(name.ljust(5), dim=True)}  {text}")
    if letter.is_unread:
        click.echo("  of a record batch that could not be read: correct the cause, then replay it while Kafka has it")
    elif letter.is_elsewhere:
        click.echo(f"  shared or too large to be copied: {_ELSEWHERE}")
    elif letter.is_withheld:
        origin = letter.origin
        click.echo(
            f"  cannot be replayed: {Skipped.WITHHELD.value} (STREAM_APP_PSEUDONYMS)\n"
            "  the record, as long as Kafka keeps it: "
            f"kafka-console-consumer.sh --bootstrap-server … --topic {quote(escaped(origin.topic))} "
            f"--partition {origin.partition} --offset {origin.offset} --max-messages 1"
        )
    elif not letter.value:
        click.echo(f"  cannot be replayed: {Skipped.EMPTY.value}")
    click.echo()


def letter_as_json(stored: StoredLetter, *, replayed: bool, hide: bool = False) -> dict[str, Any]:
    """One record; bytes that are not UTF-8 in base64, times in epoch ms; `hide`: key and value are null."""
    letter = stored.letter
    return {
        "reason": letter.reason,
        "message": letter.message,
        "origin": letter.origin._asdict(),
        "attempts": letter.attempts,
        "replayed": replayed,
        "replayable": bool(letter.value) or letter.is_elsewhere,
        "set_aside": {**stored.place._asdict(), "timestamp_ms": stored.timestamp_ms},
        **_bytes_as_json("key", None if hide else letter.key),
        **_bytes_as_json("value", None if hide else letter.value),
        **({} if hide else _elsewhere_as_json(letter)),
    }


def _elsewhere_as_json(letter: DeadLetter) -> dict[str, Any]:
    if (whole := letter.whole) is not None:
        sizes = {"key_bytes": whole.key_bytes, "value_bytes": whole.value_bytes, "digest": whole.digest}
        return {"shortened": {**sizes, **_bytes_as_json("head", whole.head)}}
    if (shared := letter.shared) is not None:
        return {"shared": {"records": shared.records, **shared._asdict()}}
    return {}


def print_report(report: DeadLetterReport, *, planned: bool) -> None:
    """What was sent, or would be."""
    rows = [(f"{count:,}", escaped(reason), escaped(topic)) for (reason, topic), count in sorted(report.sent.items())]
    heading = "to be sent" if planned else "sent"
    shown = table(heading, "reason", "to", numbers={heading})
    for row in rows:
        shown.add_row(*row)
    if rows:
        console().print(shown)
    else:
        click.echo("There is nothing to send.")
    for why, count in report.skipped.items():
        heading = "Not replayable" if why in NOTHING_TO_SEND else "Left out"
        click.echo(f"{heading}: {count:,} ({why.value}).")
    if report.skipped[Skipped.WITHHELD]:
        click.echo(_WITHHELD)
    if report.skipped[Skipped.UNREAD]:
        click.echo(_UNREAD)


def report_as_json(report: DeadLetterReport, *, dry_run: bool) -> dict[str, Any]:
    """The same; in a dry run `sent` is what would be sent."""
    sent = [
        {"reason": reason, "topic": topic, "records": count} for (reason, topic), count in sorted(report.sent.items())
    ]
    skipped = {why.value: count for why, count in report.skipped.items()}
    return {"dry_run": dry_run, "sent": sent, "skipped": skipped, "not_replayable": report.not_replayable}


def _bytes_text(data: bytes | None) -> str:
    if data is None:
        return click.style("none", dim=True)
    try:
        text, note = escaped(data.decode()), ""
    except UnicodeDecodeError:
        text, note = data.hex(" "), f"  (hex: {len(data):,} bytes that are not UTF-8)"
    cut = f" … (cut; {len(data):,} bytes in all: --json shows them)" if len(text) > _MOST_CHARACTERS else ""
    return text[:_MOST_CHARACTERS] + cut + note


def _bytes_as_json(name: str, data: bytes | None) -> dict[str, str | None]:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {name: None, f"{name}_base64": b64encode(data).decode()}
