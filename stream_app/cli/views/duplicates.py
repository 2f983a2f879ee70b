"""Views of duplicates: a table for people, JSON for programs."""

from collections.abc import Sequence
from typing import Any

import click

from stream_app.core.events.duplicate_sample import NOWHERE
from stream_app.core.events.schema import Event, Share
from stream_app.core.readable import escaped
from stream_app.ops.dead_letters.duplicate_lookup import Sampled, SeenAgain
from stream_app.terminal.format import moment
from stream_app.terminal.output import console, table

_HIDDEN = "–"


def print_duplicates(found: Sampled, shown: Sequence[SeenAgain], *, hide_ids: bool) -> None:
    """How many there are of each topic, and a table of the newest."""
    for topic, count in found.counted.items():
        click.echo(f"{count:,} duplicates from {escaped(topic)}")
    if not shown:
        click.echo("None of them is sampled yet." if sum(found.counted.values()) else "There are none.")
        return
    rows = table("event_id", "user", "kind", "first seen", "again", "at")
    for one in shown:
        duplicate = one.duplicate
        rows.add_row(
            *_ids(one, hide_ids=hide_ids),
            _first_seen(one),
            moment(duplicate.arrived_ms),
            f"{escaped(duplicate.topic)} {one.partition} {duplicate.offset}",
        )
    console().print(rows)
    click.echo(f"The newest {len(shown)} of a sample of {len(found.newest)}: post or share, user and event_id were")
    click.echo("counted before, so the second one adds nothing.")
    if hide_ids:
        click.echo("With STREAM_APP_PSEUDONYMS or STREAM_APP_MIN_GROUP, ids are not shown.")


def duplicates_as_json(found: Sampled, shown: Sequence[SeenAgain], *, hide_ids: bool) -> dict[str, Any]:
    """The same; times in epoch ms. What is not known is null."""
    return {
        "counted": dict(found.counted),
        "sampled": len(found.newest),
        "newest": [_as_json(one, hide_ids=hide_ids) for one in shown],
    }


def _ids(one: SeenAgain, *, hide_ids: bool) -> tuple[str, str, str]:
    if one.event is None:
        return "no longer in Kafka", _HIDDEN, _HIDDEN
    if hide_ids:
        return _HIDDEN, _HIDDEN, _kind(one.event)
    return escaped(str(one.event.event_id)), escaped(str(one.event.user_id)), _kind(one.event)


def _kind(event: Event) -> str:
    return event.kind or ("share" if isinstance(event, Share) else "post")


def _first_seen(one: SeenAgain) -> str:
    if one.first_arrived_ms:
        return f"{moment(one.first_arrived_ms)}, offset {one.first_offset}"
    duplicate = one.duplicate
    return f"event time {moment(duplicate.first_from_ms)} to {moment(duplicate.first_until_ms)}"


def _as_json(one: SeenAgain, *, hide_ids: bool) -> dict[str, Any]:
    duplicate, event = one.duplicate, one.event
    is_shown = event is not None and not hide_ids
    return {
        "event_id": str(event.event_id) if event is not None and is_shown else None,
        "user_id": str(event.user_id) if event is not None and is_shown else None,
        "kind": _kind(event) if event is not None else None,
        "topic": duplicate.topic,
        "partition": one.partition,
        "offset": duplicate.offset,
        "arrived_ms": duplicate.arrived_ms,
        "first_seen": {
            "offset": one.first_offset if one.first_offset != NOWHERE else None,
            "arrived_ms": one.first_arrived_ms or None,
            "event_time_from_ms": duplicate.first_from_ms,
            "event_time_until_ms": duplicate.first_until_ms,
        },
    }
