"""`stream-app funnel`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from stream_app.backtest.funnel.recorded_funnel import FunnelSpans, recorded_funnel
from stream_app.cli.options import Command, Duration, EventFile, ReportFile, TimeOption, settings_options
from stream_app.cli.views.funnel_table import show_funnel
from stream_app.core.events.names import normal_topic
from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION
from stream_app.settings import Settings
from stream_app.sources.files import read_events, require_events
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.terminal.output import print_json, reading_bar

_SETTINGS = (
    "view_rate",
    "channel_view_rates",
    "min_ts",
    "max_ts",
    "max_id_bytes",
    "max_topics_per_event",
    "max_scopes",
)
_MOST_S = 36_525 * 86_400
_SHOWN_EVERY = 1000


class _Span(Duration):
    """A length of time, from 1 ms to 100 years."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Its seconds."""
        seconds = super().convert(value, param, ctx)
        if not 0.001 <= seconds <= _MOST_S:
            self.fail(f"{value!r} is not between 1ms and 36525d", param, ctx)
        return seconds


@click.command(
    "funnel",
    cls=Command,
    examples=(
        "stream-app funnel october.jsonl.gz",
        "stream-app funnel october.jsonl.gz --topic climate --gap 24h",
        "stream-app funnel *.parquet --window 30d --report funnel.json",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=EventFile())
@click.option("--topic", default=ALL_TOPICS, metavar="NAME", help="print the funnel of a topic  [*]")
@click.option(
    "--population", default=DEFAULT_POPULATION, metavar="NAME", help=f"in a population  [{DEFAULT_POPULATION}]"
)
@click.option(
    "--gap",
    "gap_s",
    type=_Span(),
    metavar="DURATION",
    help="after so long an absence somebody enters again  [STREAM_APP_FUNNEL_GAP_S, 7d]",
)
@click.option(
    "--horizon",
    "horizon_s",
    type=_Span(),
    metavar="DURATION",
    help="recruits within this time after somebody came make R  [STREAM_APP_FUNNEL_HORIZON_S, 24h]",
)
@click.option(
    "--window",
    "window_s",
    type=_Span(),
    metavar="DURATION",
    help="count only what happened in so long before the end; what came before decides who is new  [everything]",
)
@click.option("--until", "until_ms", type=TimeOption(), metavar="TIME", help="leave out events at or after that time")
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the funnels of all topics as JSON")
@click.option("--json", "as_json", is_flag=True, help="print the funnels of all topics as JSON")
@settings_options(*_SETTINGS)
def command(
    *,
    settings: Settings,
    files: Sequence[Path],
    topic: str,
    population: str,
    gap_s: float | None,
    horizon_s: float | None,
    window_s: float | None,
    until_ms: int | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Say who comes, who brings them, and who comes back, in FILEs of recorded events, without Kafka.

    An entry is an event of somebody with none of theirs in the --gap before. Its share names who recruited them.

    Files are read as by `stream-app replay`; - is the standard input.
    """
    require_events(files)
    spans = FunnelSpans(
        _ms(settings.funnel_gap_s if gap_s is None else gap_s),
        _ms(settings.funnel_horizon_s if horizon_s is None else horizon_s),
        None if window_s is None else _ms(window_s),
    )
    with reading_bar() as advance:
        events = _read(files, until_ms, lambda done: advance(done, None))
        found = recorded_funnel(events, settings, spans)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    show_funnel(found, normal_topic(topic), population)


def _read(files: Sequence[Path], until_ms: int | None, on_read: Callable[[int], None]) -> Iterator[RecordedEvent]:
    for done, event in enumerate(read_events(files), 1):
        if done % _SHOWN_EVERY == 0:
            on_read(done)
        if until_ms is None or event.ts_ms < until_ms:
            yield event


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
