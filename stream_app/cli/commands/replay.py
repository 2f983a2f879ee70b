"""`stream-app replay`."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_app.cli.options import Command, Speed, TimeOption, settings_options
from stream_app.demo.feed import recorded_stream
from stream_app.settings import Settings
from stream_app.sources.files import require_events
from stream_app.sources.replay import Progress as Replayed
from stream_app.sources.replay import replay
from stream_app.terminal.format import moment, plural, span
from stream_app.terminal.output import console, print_json


@click.command(
    "replay",
    cls=Command,
    examples=(
        "stream-app replay october.jsonl.gz november.jsonl.gz",
        "stream-app replay events.parquet --speed 60          an hour of events a minute",
    ),
)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--speed", type=Speed(), default="max", metavar="X|max", help="times real time; max: as fast as possible")
@click.option("--until", "until_ms", type=TimeOption(), metavar="TIME", help="leave out events at or after that time")
@click.option("--json", "as_json", is_flag=True, help="print what was produced as JSON")
@settings_options("brokers", "posts_topic", "shares_topic")
def command(settings: Settings, files: Sequence[Path], speed: float, until_ms: int | None, as_json: bool) -> None:
    """Produce recorded events from FILEs (JSON lines, gzipped or not, or Parquet) to Kafka.

    Each event goes to the topic of posts or of shares, with its user as the key, in the order of the files. The topics
    must exist (`stream-app topics create`). Parquet needs the extra `stream-app[parquet]`.
    """
    require_events(files)
    stream = recorded_stream(files, until_ms, None if math.isinf(speed) else speed)
    part = stream.parts[0]
    with _bar(stream.size) as progress:
        report = replay(
            part.events, settings.brokers, settings, speed=part.speed, until_ms=until_ms, on_progress=progress
        )
    if as_json:
        counts = {"sent": report.sent, "posts": report.posts, "shares": report.shares, "left_out": report.left_out}
        print_json({**counts, "unreadable": stream.unreadable, "seconds": round(report.seconds, 3)})
        return
    left_out = f", {report.left_out:,} left out" if until_ms is not None else ""
    console().print(
        f"{plural(report.sent, 'event')} produced in {span(report.seconds)} ({report.records_per_second:,.0f}/s): "
        f"{report.posts:,} to {settings.posts_topic}, {report.shares:,} to {settings.shares_topic}{left_out}."
    )
    if stream.unreadable:
        are = "is no event" if stream.unreadable == 1 else "are no events"
        console().print(f"{stream.unreadable:,} of them {are}, and will be set aside: `stream-app dead-letters list`.")


@contextmanager
def _bar(size: int) -> Iterator[Callable[[Replayed], None]]:
    """A progress bar on stderr, where that is a terminal."""
    out = console(stderr=True)
    columns = (
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[rate]:,.0f}/s  {task.fields[event_time]}[/]"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=size, rate=0.0, event_time="")

        def show(done: Replayed) -> None:
            rate = done.sent / done.seconds if done.seconds else 0.0
            bar.update(task, completed=done.sent, rate=rate, event_time=moment(done.event_time_ms))

        yield show
