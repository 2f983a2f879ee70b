"""`make bench`: measures the tracker against an idiomatic Faust app, or the cost of open pages."""

from pathlib import Path

import click

from stream_app.cli.options import Command, ReportFile
from stream_app.cli.signals import end_like_ctrl_c
from tests.benchmarks.process import BenchError
from tests.benchmarks.runner import run_bench, run_page_bench


@click.command(
    "bench",
    cls=Command,
    examples=(
        "make bench",
        'make bench ARGS="--events 200000 --report bench.json"',
        'make bench ARGS="--browsers 50"',
    ),
)
@click.option(
    "--events", type=click.IntRange(min=1000), default=1_000_000, metavar="N", help="events to count  [1000000]"
)
@click.option(
    "--browsers",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="measure the CPU cost of N open pages instead",
)
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the figures as JSON")
def command(*, events: int, browsers: int | None, report: Path | None) -> None:
    """Measure the tracker and an idiomatic Faust app on the same events, with an embedded Kafka and Redis.

    Prints events per second, CPU seconds per million events and peak memory of both; of the tracker also the memory of
    a row of state, and the seconds from kill -9 until another worker has restored it.
    """
    end_like_ctrl_c()
    try:
        if browsers is None:
            run_bench(events, report)
        else:
            run_page_bench(events, browsers, report)
    except BenchError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    command()
