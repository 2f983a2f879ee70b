"""`stream-app bench`."""

import json
from pathlib import Path

import click

from stream_app.cli.options import ALL, Command, ReportFile, settings_options
from stream_app.cli.output import console
from stream_app.settings import Settings

_ITS_OWN = {"brokers", "redis_url", "replication", "http_port"}
_NAMES = [name for name in ALL if name not in _ITS_OWN and not name.endswith("_topic")]


@click.command(
    "bench", cls=Command, examples=("stream-app bench", "stream-app bench --events 200000 --report bench.json")
)
@click.option(
    "--events", type=click.IntRange(min=1000), default=1_000_000, metavar="N", help="events to count  [1000000]"
)
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the figures as JSON")
@settings_options(*_NAMES)
def command(*, settings: Settings, events: int, report: Path | None) -> None:
    """Measure this tracker and an idiomatic Faust app on the same events, with a Kafka and a Redis of its own.

    Prints events per second, CPU seconds per million events and peak memory of both; of the tracker also what its state
    costs, and how soon it is back after a kill.
    """
    from stream_app.engine.topics import create
    from stream_app.local.bench import run_bench
    from stream_app.local.bench_result import print_result, report_of, shown

    out = console()
    with shown(out) as progress:
        result = run_bench(create, settings, progress, events=events)
    print_result(out, result)
    if report is not None:
        report.write_text(json.dumps(report_of(result), ensure_ascii=False, indent=2) + "\n")
