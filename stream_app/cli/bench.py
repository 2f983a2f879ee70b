"""`stream-app bench`."""

from pathlib import Path

import click

from stream_app.cli.options import Command


@click.command("bench", cls=Command)
@click.option("--events", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="events to count")
@click.option("--report", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="write the figures as JSON")
def command(events: int, report: Path | None) -> None:
    """Measure this tracker and an idiomatic Faust app on the same events.

    Prints events per second, CPU seconds per million events, and memory of both.

    \b
    stream-app bench --events 200000 --report bench.json
    """
    from stream_app.local.bench import run_bench

    run_bench(events, report)
