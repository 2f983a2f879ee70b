"""`stream-app migrate`."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_app.cli.options import ALL, Command, settings_options
from stream_app.cli.views.migrate import as_json_value, show_plan, show_report
from stream_app.settings import Settings
from stream_app.terminal.output import console, print_json

NOT_YET = 3
"""Exit status: copied and counted, but the old tracker has to stop before it can be switched."""


@click.command(
    "migrate",
    cls=Command,
    examples=("stream-app migrate --partitions 12 --dry-run", "stream-app migrate --partitions 12"),
)
@click.option("--partitions", type=click.IntRange(min=1), required=True, metavar="N", help="the new number")
@click.option("--workers", type=click.IntRange(min=1), default=1, metavar="N", help="workers that count the copy  [1]")
@click.option("--dry-run", is_flag=True, help="only print what would be done")
@click.option("--json", "as_json", is_flag=True, help="print what was done as JSON")
@settings_options(*(name for name in ALL if name != "partitions"))
def command(*, settings: Settings, partitions: int, workers: int, dry_run: bool, as_json: bool) -> None:
    """Change the number of partitions: a copy of the inputs is counted anew, checked to be equal, and taken over.

    Run it with the settings of the tracker as it is. It copies the inputs to topics with the new number of partitions,
    has workers of its own count them, and compares the cuts with the old ones. The old topics are only read. Run it
    first while everything runs (exit status 3): that does most of the work. Then stop producers and workers, and run it
    again: it copies the rest and the standings, and prints which settings to change. It can be killed and repeated.
    """
    from stream_app.kafka.clients import quiet_kafka
    from stream_app.ops.migrate.migration import run_migration
    from stream_app.ops.migrate.migration_plan import migration_plan

    with quiet_kafka():
        plan = migration_plan(settings, partitions)
        if not as_json:
            show_plan(plan)
        report = None
        if not dry_run:
            report = run_migration(plan, _workers(workers), _step)
    if as_json:
        print_json(as_json_value(plan, report))
    elif report is not None:
        show_report(plan, report)
    if report is not None and not report.is_done:
        raise SystemExit(1 if report.comparison.differences else NOT_YET)


def _workers(count: int) -> Callable[[Settings], Any]:
    from stream_app.demo.workers import Workers

    @contextmanager
    def started(settings: Settings) -> Iterator[Callable[[], object]]:
        with (
            tempfile.TemporaryDirectory(prefix="stream-app-migrate-") as folder,
            Workers(settings, count, Path(folder)) as running,
        ):
            yield running.revive

    return started


@contextmanager
def _step(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr where that is a terminal; elsewhere a line when a step begins."""
    out = console(stderr=True)
    if not out.is_terminal:
        out.print(f"{name} …")
    columns = (
        TextColumn(f"[dim]{name}[/]"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
