"""`stream-app reset`."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, get_args

import click

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.kafka.clients import quiet_kafka
from stream_app.ops.reset import Positions, ResetPlan, carry_out, plan
from stream_app.serving.redis.board import open_board
from stream_app.settings import Settings
from stream_app.terminal.format import plural
from stream_app.terminal.output import console, echo, print_json, table


@click.command(
    "reset", cls=Command, examples=("stream-app reset --dry-run", "stream-app reset --positions latest --yes")
)
@click.option(
    "--positions",
    type=click.Choice(get_args(Positions)),
    default="earliest",
    help="start with the oldest record that Kafka has, or with new ones only  [earliest]",
)
@click.option("--outputs", is_flag=True, help="also delete flags, dead letters and late events")
@click.option("--dry-run", is_flag=True, help="only print what would be done")
@click.option("--yes", is_flag=True, help="do not ask for confirmation")
@click.option("--json", "as_json", is_flag=True, help="print what was done as JSON")
@settings_options(*KAFKA_NAMES, "redis_url", "redis_prefix")
def command(
    *, settings: Settings, positions: Positions, outputs: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Delete everything that was counted, so that the tracker starts from nothing.

    Deletes its state topics (segments, standings, cuts, curves) and creates them again; deletes the committed offsets
    of its group and the keys of its Redis board. The input topics are not changed. All workers must have stopped. An
    interrupted reset can be repeated.
    """
    with quiet_kafka():
        planned = plan(settings, positions, outputs=outputs)
        keys = asyncio.run(_clear_board(settings, dry_run=True))
        if not as_json:
            _print(settings, planned, keys, positions, outputs=outputs)
        done = []
        if not dry_run:
            if not yes:
                _confirm()
            for step in _steps(settings, planned):
                done.append(step)
                if not as_json:
                    echo(f"Done: {step}.")
    if as_json:
        print_json(_as_json(planned, keys, positions, done, dry_run=dry_run))


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("stdin is not a terminal, so this cannot ask for confirmation: add --yes")
    click.confirm("Delete all this?", abort=True, err=True)


def _steps(settings: Settings, planned: ResetPlan) -> Iterator[str]:
    yield from carry_out(settings, planned)
    if settings.redis_url:
        yield f"deleted {plural(asyncio.run(_clear_board(settings)), 'key')} of the Redis board"


async def _clear_board(settings: Settings, *, dry_run: bool = False) -> int:
    if not settings.redis_url:
        return 0
    board = open_board(settings)
    try:
        return await board.forget(dry_run=dry_run)
    finally:
        await board.close()


def _print(settings: Settings, planned: ResetPlan, keys: int, positions: Positions, *, outputs: bool) -> None:
    shown = table("to be deleted", "holds", "then", numbers={"holds"})
    for target in planned.topics:
        holds = plural(target.records, "record") if target.exists else "–"
        shown.add_row(f"topic {target.topic.name}", holds, "created again" if target.exists else "created")
    shown.add_row(f"group {settings.app_id}", plural(planned.offsets, "offset"), "")
    if settings.redis_url:
        shown.add_row(f"Redis {settings.redis_prefix}:…", plural(keys, "key"), "written again by the workers")
    out = console()
    out.print(shown)
    start = "the oldest record that Kafka has" if positions == "earliest" else "the records that come from now on"
    out.print(f"Counting starts with {start}. Kafka: {settings.brokers}.")
    if not outputs:
        out.print("Flags, dead letters and late events stay (--outputs deletes them too).")


def _as_json(planned: ResetPlan, keys: int, positions: Positions, done: list[str], *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "topics": [
            {"topic": target.topic.name, "existed": target.exists, "records": target.records}
            for target in planned.topics
        ],
        "committed_offsets": planned.offsets,
        "redis_keys": keys,
        "positions": positions,
        "starts": [
            {"topic": place.topic, "partition": place.partition, "offset": start}
            for place, start in planned.starts.items()
        ],
        "done": done,
    }
