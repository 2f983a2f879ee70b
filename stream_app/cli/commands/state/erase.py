"""`stream-app erase`."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import click
from rich.text import Text

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.cli.person_options import print_step, user_argument, wait_option
from stream_app.kafka.clients import quiet_kafka
from stream_app.kafka.topics import require_all
from stream_app.ops.erasure.erasure import ErasureReport, erase, look
from stream_app.serving.redis.erasure import BoardEraser
from stream_app.settings import Settings, SettingsError
from stream_app.terminal.output import console, marked, print_json, table

INCOMPLETE = 3

ELSEWHERE = """\
- Kafka's disks: superseded segments and standings vanish when Kafka compacts their topics, within about
  7 days where `stream-app topics create` created them (max.compaction.lag.ms; tombstones, which name the
  user of a standing, a compaction later). Deleted records vanish with the log segment they are in.
- The input topics: their producers have to delete them. The person's events there are rejected if read again.
- Shares by others of this person's posts, which can name them as the author. Such late events and dead
  letters were removed; later ones are kept as they come.
- Redis keeps the bytes of a deleted stream entry until the node of the stream they are in is trimmed.
- Backups, and what consumers of the flags have stored. (Logs and metrics never name users.)"""


@click.command(
    "erase",
    cls=Command,
    examples=(
        "stream-app erase ann --dry-run          where she is found; nothing is changed",
        "stream-app erase ann                    asks before it begins",
        "stream-app erase - --yes < user-id.txt  the id stays out of the shell's history",
    ),
)
@user_argument
@click.option("--yes", is_flag=True, help="do not ask for confirmation")
@click.option("--dry-run", is_flag=True, help="only print where the person is found")
@wait_option
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
@settings_options(*KAFKA_NAMES, "redis_url", "redis_prefix")
def command(settings: Settings, user: str, yes: bool, dry_run: bool, wait_s: float, as_json: bool) -> None:
    """Erase the person with the id USER (- reads it from stdin) from everything that the tracker holds.

    They are removed from ledgers, standings, flags, Redis, dead letters and late events. A keyed hash of the id is
    kept, so that their events are rejected from then on. The workers and this command need the same
    STREAM_APP_PERSON_KEY. Give the id as it is in events, also where pseudonyms replace it. The command can be
    repeated; exit status 3: something is left.
    """
    if not (yes or dry_run):
        click.confirm(
            "Erase this person from everything the tracker holds? This cannot be undone.", abort=True, err=True
        )
    with quiet_kafka(), _board(settings) as board:
        require_all(settings)
        if dry_run:
            report = look(settings, user, board)
        else:
            now_ms = time.time_ns() // 1_000_000
            report = erase(settings, user, board, wait_s=wait_s, now_ms=now_ms, on_step=print_step)
    if as_json:
        print_json(_as_json(report))
    else:
        _show(report)
    if report.remembered and not report.complete:
        raise SystemExit(INCOMPLETE)


@contextmanager
def _board(settings: Settings) -> Iterator[BoardEraser | None]:
    if not settings.redis_url:
        yield None
        return
    try:
        board = BoardEraser(settings)
    except ValueError as error:
        raise SettingsError(f"STREAM_APP_REDIS_URL: {error}; write it like redis://host:6379/0") from error
    with closing(board):
        yield board


def _show(report: ErasureReport) -> None:
    rows = table("where", "what", "found", "left", "", numbers={"found", "left"})
    for place in report.places:
        left = Text(f"{place.left:,}" if report.remembered else "", "red" if place.left else "")
        rows.add_row(place.where, place.what, f"{place.found:,}", left, place.note)
    out = console()
    out.print(rows)
    if not report.remembered:
        out.print("Nothing was changed.")
        return
    out.print(_outcome(report))
    out.print(f"\nWhat this command does not remove:\n{ELSEWHERE}")


def _outcome(report: ErasureReport) -> Text:
    if report.complete:
        return Text("Erased: nothing of this person is left in what the tracker holds.")
    if report.waiting:
        return marked(
            "[red]Recorded, but not carried out yet[/] in {} partitions ({}): is a worker running? The next owner of a "
            "partition carries it out before it counts. Then run this command again: it completes what is left.",
            len(report.waiting),
            ", ".join(map(str, report.waiting)),
        )
    return marked("[red]Not everything is gone[/]: run this command again; the notes say what stays.")


def _as_json(report: ErasureReport) -> dict[str, Any]:
    return {
        "remembered": report.remembered,
        "complete": report.complete,
        "waiting_partitions": report.waiting,
        "places": [{**place._asdict(), "note": place.note or None} for place in report.places],
    }
