"""Set-aside records as people and programs read them."""

import json
from base64 import b64encode
from collections.abc import Sequence
from shlex import quote
from typing import Any

import click

from stream_app.ops.dead_letters.replay import DeadLetterReport, Skipped
from stream_app.ops.dead_letters.scan import Filed, Pile
from stream_app.terminal.format import moment, plural
from stream_app.terminal.output import console, table

_MOST_CHARACTERS = 2000
_WITHHELD = """\
With STREAM_APP_PSEUDONYMS key and value are not copied. As long as Kafka keeps it, the record itself is still where
it came from (`stream-app dead-letters show`): mend what was wrong, and have its producer send it again."""


def print_piles(piles: Sequence[Pile], where: str) -> None:
    """A table, and an example of each kind."""
    if not piles:
        click.echo(f"There is nothing of the kind in {where}.")
        return
    numbers = {"records", "distinct", "replayed"}
    shown = table("reason", "from", "records", "distinct", "replayed", numbers=numbers)
    for pile in piles:
        counts = (pile.records, len(pile.identities), pile.replayed)
        shown.add_row(readable(pile.reason), readable(pile.topic), *(f"{count:,}" for count in counts))
    console().print(shown)
    click.echo("The last of each:")
    for pile in piles:
        click.echo(
            f"  {click.style(readable(pile.reason), bold=True)} from {readable(pile.topic)}, "
            f"{moment(pile.last_ms)} (the first {moment(pile.first_ms)})\n    {readable(pile.example)}"
        )
        for why, some in ((Skipped.WITHHELD, pile.withheld), (Skipped.EMPTY, pile.empty)):
            if some:
                click.echo(f"    {len(some):,} cannot be replayed: {why.value}")
    if any(pile.withheld for pile in piles):
        click.echo(f"\n{_WITHHELD}")


def pile_as_json(pile: Pile) -> dict[str, Any]:
    """A pile; times are epoch ms."""
    return {
        "reason": pile.reason,
        "topic": pile.topic,
        "records": pile.records,
        "distinct": len(pile.identities),
        "replayed": pile.replayed,
        "not_replayable": pile.not_replayable,
        "first_ms": pile.first_ms,
        "last_ms": pile.last_ms,
        "example": pile.example,
    }


def print_letter(filed: Filed, *, replayed: bool) -> None:
    """One record, as far as it can be read."""
    letter, place = filed.letter, filed.place
    attempts = f", replayed {plural(letter.attempts, 'time')} before" if letter.attempts else ""
    state = ", replayed since" if replayed else ""
    click.echo(
        f"{click.style(readable(letter.reason), bold=True)}  {readable(letter.origin.topic)} "
        f"{letter.origin.partition} {letter.origin.offset}{attempts}{state}"
    )
    lines = {
        "why": readable(letter.message),
        "when": f"{moment(filed.timestamp_ms)}, at {place.topic} {place.partition} {place.offset}",
        "key": _bytes_text(letter.key),
        "value": _bytes_text(letter.value),
    }
    for name, text in lines.items():
        click.echo(f"  {click.style(name.ljust(5), dim=True)}  {text}")
    if letter.is_withheld:
        origin = letter.origin
        click.echo(
            f"  cannot be replayed: {Skipped.WITHHELD.value} (STREAM_APP_PSEUDONYMS)\n"
            "  the record, as long as Kafka keeps it: "
            f"kafka-console-consumer.sh --bootstrap-server … --topic {quote(readable(origin.topic))} "
            f"--partition {origin.partition} --offset {origin.offset} --max-messages 1"
        )
    elif not letter.value:
        click.echo(f"  cannot be replayed: {Skipped.EMPTY.value}")
    click.echo()


def letter_as_json(filed: Filed, *, replayed: bool) -> dict[str, Any]:
    """One record; bytes that are not UTF-8 in base64, times in epoch ms."""
    letter = filed.letter
    return {
        "reason": letter.reason,
        "message": letter.message,
        "origin": letter.origin._asdict(),
        "attempts": letter.attempts,
        "replayed": replayed,
        "replayable": bool(letter.value),
        "set_aside": {**filed.place._asdict(), "timestamp_ms": filed.timestamp_ms},
        **_bytes_as_json("key", letter.key),
        **_bytes_as_json("value", letter.value),
    }


def print_report(report: DeadLetterReport, *, planned: bool) -> None:
    """What was sent, or what would be."""
    rows = [(f"{count:,}", readable(reason), topic) for (reason, topic), count in sorted(report.sent.items())]
    heading = "to be sent" if planned else "sent"
    shown = table(heading, "reason", "to", numbers={heading})
    for row in rows:
        shown.add_row(*row)
    if rows:
        console().print(shown)
    else:
        click.echo("Nothing is to be sent.")
    for why, count in report.skipped.items():
        heading = "Not replayable" if why in {Skipped.WITHHELD, Skipped.EMPTY} else "Left out"
        click.echo(f"{heading}: {count:,} ({why.value}).")
    if report.skipped[Skipped.WITHHELD]:
        click.echo(_WITHHELD)


def report_as_json(report: DeadLetterReport, *, dry_run: bool) -> dict[str, Any]:
    """The same; `sent` is what would be in a dry run."""
    sent = [
        {"reason": reason, "topic": topic, "records": count} for (reason, topic), count in sorted(report.sent.items())
    ]
    skipped = {why.value: count for why, count in report.skipped.items()}
    return {"dry_run": dry_run, "sent": sent, "skipped": skipped, "not_replayable": report.not_replayable}


def readable(text: str) -> str:
    """The text, without what a terminal would take for a command: that is shown by its number."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _bytes_text(data: bytes | None) -> str:
    if data is None:
        return click.style("none", dim=True)
    try:
        text, note = readable(data.decode()), ""
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
