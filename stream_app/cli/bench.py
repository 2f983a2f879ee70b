"""`stream-app bench`."""

from pathlib import Path

import click

from stream_app.cli.ending import end_like_ctrl_c
from stream_app.cli.options import Command, ReportFile


@click.command(
    "bench", cls=Command, examples=("stream-app bench", "stream-app bench --events 200000 --report bench.json")
)
@click.option(
    "--events", type=click.IntRange(min=1000), default=1_000_000, metavar="N", help="events to count  [1000000]"
)
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the figures as JSON")
def command(*, events: int, report: Path | None) -> None:
    """Measure this tracker and an idiomatic Faust app on the same events, with a Kafka and a Redis of its own.

    Prints events per second, CPU seconds per million events and peak memory of both; of the tracker also what its state
    costs, and how soon it is back after a kill.
    """
    from stream_app.local.bench import run_bench

    end_like_ctrl_c()
    run_bench(events, report)
