"""`stream-app replay`."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_app.cli.options import Command, EventFile, Speed, TimeOption, settings_options
from stream_app.cli.views.found_events import print_found
from stream_app.demo.feed import recorded_stream
from stream_app.kafka.clients import KafkaOperationError, open_consumer, quiet_kafka
from stream_app.kafka.topic_scan import TopicTail
from stream_app.settings import Settings
from stream_app.sources.files import require_events
from stream_app.sources.found import FoundEvents
from stream_app.sources.replay import Progress as Replayed
from stream_app.sources.replay import replay
from stream_app.sources.skew import PATIENCE_S, SkewBound
from stream_app.sources.worker_progress import WorkerProgress
from stream_app.terminal.format import moment, plural, span
from stream_app.terminal.output import console, echo, print_json


@click.command(
    "replay",
    cls=Command,
    examples=(
        "stream-app replay october.jsonl.gz november.jsonl.gz",
        "stream-app replay events.parquet --speed 60          an hour of events a minute",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=EventFile())
@click.option("--speed", type=Speed(), default="max", metavar="X|max", help="times real time; max: as fast as possible")
@click.option("--until", "until_ms", type=TimeOption(), metavar="TIME", help="leave out events at or after that time")
@click.option("--json", "as_json", is_flag=True, help="print what was produced as JSON")
@settings_options(
    "brokers", "posts_topic", "shares_topic", "retractions_topic", "curves_topic", "window_s", "pane_s", "max_ahead_s"
)
def command(settings: Settings, files: Sequence[Path], speed: float, until_ms: int | None, as_json: bool) -> None:
    """Produce recorded events from FILEs to Kafka; - is the standard input.

    Files are JSON lines, JSON arrays, CSV, TSV or Parquet, compressed or not, in UTF-8 or UTF-16, known by their
    content. Columns are named as the fields of an event; topics in a cell are separated by |.

    Each event goes to the topic of posts, shares or retractions, with its user as the key, in the order of the files.
    The topics must exist (`stream-app topics create`). Where workers count meanwhile, the replay is never further
    ahead of them than three quarters of a window, so that events that are in order are not late. The exit status is 1
    where a file holds no event.
    Parquet needs the extra `stream-app[parquet]`.
    """
    require_events(files)
    stream = recorded_stream(files, until_ms, None if math.isinf(speed) else speed, settings)
    part = stream.parts[0]
    with ExitStack() as stack:
        bound = _bound(stack, settings)
        progress = stack.enter_context(_bar(stream.size))
        report = replay(
            *(part.events, settings.brokers, settings),
            speed=part.speed,
            until_ms=until_ms,
            bound=bound,
            on_progress=progress,
        )
    found = stream.found or FoundEvents(settings)
    if as_json:
        names = ("sent", "posts", "shares", "retractions", "left_out")
        counts = {name: getattr(report, name) for name in names}
        rejected = [kind._asdict() for kind in found.rejected]
        print_json(
            {**counts, "unreadable": found.unreadable, "rejected": rejected, "seconds": round(report.seconds, 3)}
        )
    else:
        taken = f", {report.retractions:,} to {settings.retractions_topic}" if report.retractions else ""
        others = taken + (f", {report.left_out:,} left out" if until_ms is not None else "")
        console().print(
            f"{plural(report.sent, 'event')} produced in {span(report.seconds)} ({report.records_per_second:,.0f}/s): "
            f"{report.posts:,} to {settings.posts_topic}, {report.shares:,} to {settings.shares_topic}{others}."
        )
        print_found(console(), found, settings)
    if bound is not None and bound.is_off:
        echo(
            f"No worker counted for {PATIENCE_S:g} s: the rest was sent without waiting; see `stream-app doctor`.",
            err=True,
        )
    if report.sent and found.count == found.unreadable:
        raise SystemExit(1)


def _bound(stack: ExitStack, settings: Settings) -> SkewBound | None:
    """The bound on the skew, where workers have counted before; who may not read their progress replays without."""
    try:
        with quiet_kafka():
            tail = TopicTail(stack.enter_context(open_consumer(settings)), settings.curves_topic)
            progress = WorkerProgress(tail, settings.source_topics)
            is_counted = bool(progress.positions())
    except KafkaOperationError:
        return None
    return SkewBound(progress.positions, settings) if is_counted else None


@contextmanager
def _bar(size: int | None) -> Iterator[Callable[[Replayed], None]]:
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
