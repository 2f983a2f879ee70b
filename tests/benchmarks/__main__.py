"""`make bench`: measures the tracker against an idiomatic Faust app or other peers, open pages, or many topics."""

from pathlib import Path

import click

from stream_app.cli.options import Command, ReportFile
from stream_app.cli.signals import end_like_ctrl_c
from tests.benchmarks.process import BenchError
from tests.benchmarks.runner import run_bench, run_page_bench, run_peer_bench, run_scale_bench
from tests.benchmarks.scale import Scenario
from tests.fetched import FetchError

_RATE = 2000


@click.command(
    "bench",
    cls=Command,
    examples=(
        "make bench",
        'make bench ARGS="--events 200000 --report bench.json"',
        'make bench ARGS="--browsers 50"',
        'make bench ARGS="--peers --kafka apache"',
        'make bench ARGS="--topics 200000 --workers 4 --rate 2000"',
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
@click.option("--peers", is_flag=True, help="measure the tracker beside other ways to count, on the broker of --kafka")
@click.option(
    "--topics",
    type=click.IntRange(1, 10_000_000),
    metavar="N",
    help="measure the cost of N topics instead, catching up, idle and at a rate, on the broker of --kafka",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, metavar="N", help="with --topics  [1]")
@click.option(
    "--rate", "rates", type=click.IntRange(min=1), multiple=True, metavar="N", help="events/s, with --topics  [2000]"
)
@click.option(
    "--kafka",
    type=click.Choice(["embedded", "apache"]),
    default="embedded",
    help="with --topics or --peers  [embedded]",
)
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the figures as JSON")
def command(
    *,
    events: int,
    browsers: int | None,
    peers: bool,
    topics: int | None,
    workers: int,
    rates: tuple[int, ...],
    kafka: str,
    report: Path | None,
) -> None:
    """Measure the tracker and an idiomatic Faust app on the same events, with an embedded Kafka and Redis.

    Prints events per second, CPU seconds per million events and peak memory of both; of the tracker also the memory of
    a row of state, and the seconds from kill -9 until another worker has restored it.
    """
    end_like_ctrl_c()
    try:
        if topics is not None:
            run_scale_bench(Scenario(events, topics, workers, rates or (_RATE,)), kafka, report)
        elif peers:
            run_peer_bench(events, kafka, report)
        elif browsers is not None:
            run_page_bench(events, browsers, report)
        else:
            run_bench(events, report)
    except (BenchError, FetchError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    command()
