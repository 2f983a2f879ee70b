"""`stream-app backtest`."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from stream_app.backtest.figures import report_of
from stream_app.backtest.picture import picture_of
from stream_app.backtest.run import BacktestResult, backtest
from stream_app.cli.options import Command, EventFile, ReportFile, TimeOption, settings_options
from stream_app.cli.views.backtest_table import show_results
from stream_app.demo.employees.defaults import EMPLOYEES
from stream_app.settings import Settings, SettingsError
from stream_app.settings.environment import from_environment
from stream_app.settings.schema import COUNTING
from stream_app.sources.files import read_events, require_events
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.terminal.output import print_json, reading_bar


class _PictureFile(ReportFile):
    """A file for a picture."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Its path."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() != ".svg":
            self.fail(f"{path} does not end with .svg, which is what is written", param, ctx)
        return path


class _Variants(click.ParamType):
    """Settings of one run: NAME=VALUE, several with a comma between."""

    name = "settings"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """By the name of the setting."""
        found: dict[str, str] = {}
        for part in str(value).split(","):
            name, equals, text = part.partition("=")
            key = name.strip().removeprefix("STREAM_APP_").lower().replace("-", "_")
            key = key if key in COUNTING else f"{key}_s"
            if not equals or key not in COUNTING:
                self.fail(f"{part!r}: give NAME=VALUE of one of {', '.join(COUNTING)}", param, ctx)
            found[key] = text.strip()
        return found


@click.command(
    "backtest",
    cls=Command,
    examples=(
        "stream-app backtest october.jsonl.gz",
        "stream-app backtest october.jsonl.gz --set share=0.7 --set share=0.9,emerging_door=0.95",
        "stream-app backtest november.parquet --window 7d --pane 1h --report found.json --plot found.svg",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=EventFile())
@click.option(
    "--set",
    "variants",
    type=_Variants(),
    multiple=True,
    metavar="NAME=VALUE,…",
    help="a further run with these settings, shown beside the first; may be repeated",
)
@click.option("--until", "until_ms", type=TimeOption(), metavar="TIME", help="leave out events at or after that time")
@click.option("--report", type=ReportFile(), metavar="FILE", help="write the results, with all flags, as JSON")
@click.option(
    "--plot",
    type=_PictureFile(),
    metavar="FILE.svg",
    help="draw the first run: how often right, how early, flags by day",
)
@click.option("--json", "as_json", is_flag=True, help="print the results as JSON")
@click.option("--employees", is_flag=True, help="begin with settings for employees, as `stream-app demo --employees`")
@settings_options(*COUNTING, defaults=lambda options: EMPLOYEES if options["employees"] else {})
def command(
    *,
    settings: Settings,
    files: Sequence[Path],
    variants: Sequence[dict[str, str]],
    until_ms: int | None,
    report: Path | None,
    plot: Path | None,
    as_json: bool,
    employees: bool,  # noqa: ARG001 - it is in the settings
) -> None:
    """Find what the tracker would have flagged in FILEs, and how often it was right, without Kafka.

    The same counting and the same rules run in this process, on steps of event time (--step), so the answer is always
    the same. An emerging flag is right if its user enters the cut within 12 h.

    Files are read as by `stream-app replay`; what they take back is taken back at that time. - is the standard input.
    """
    require_events(files)
    events = [event for event in read_events(files) if until_ms is None or event.ts_ms < until_ms]
    results = [_run(events, one) for one in (settings, *(_varied(settings, variant) for variant in variants))]
    reports = [report_of(result, variant) for result, variant in zip(results, [{}, *variants], strict=True)]
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(reports), indent=1))
    if plot is not None:
        plot.write_text(picture_of(results[0], reports[0]), encoding="utf-8")
    if as_json:
        print_json(msgspec.to_builtins([msgspec.structs.replace(one, raised=[]) for one in reports]))
        return
    show_results(reports)


def _run(events: Sequence[RecordedEvent], settings: Settings) -> BacktestResult:
    with reading_bar() as advance:
        return backtest(events, settings, lambda done: advance(done, len(events)))


def _varied(settings: Settings, variant: dict[str, str]) -> Settings:
    try:
        return from_environment({**{name: getattr(settings, name) for name in COUNTING}, **variant})
    except SettingsError as error:
        raise SettingsError(f"--set: {error}") from error
