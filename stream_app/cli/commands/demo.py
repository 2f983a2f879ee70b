"""`stream-app demo`."""

import json
import math
import secrets
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.console import Console

from stream_app.cli.options import ALL, Command, EventFile, ReportFile, Speed, TimeOption, settings_options
from stream_app.cli.signals import end_like_ctrl_c
from stream_app.cli.views.found_events import print_found
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.demo.employees.defaults import EMPLOYEES
from stream_app.settings import SECURITY, Settings
from stream_app.settings.hosts import host_port
from stream_app.settings.secret import Secret
from stream_app.settings.text import duration_text
from stream_app.terminal.format import plural
from stream_app.terminal.output import console, marked

USERS = 20_000
_ITS_OWN = {"brokers", "redis_url", "replication", "partitioner", "app_id", "redis_prefix"}
_NAMES = [name for name in ALL if name not in {*_ITS_OWN, *SECURITY} and not name.endswith("_topic")]


@click.command(
    "demo",
    cls=Command,
    examples=(
        "stream-app demo",
        "stream-app demo events.jsonl.gz --window 7d --pane 1h --report found.json",
        "stream-app demo --employees",
        "stream-app demo events.parquet --until 2016-10-06T00:00Z --workers 2",
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]…", type=EventFile())
@click.option(
    "--until", "until_ms", type=TimeOption(), metavar="TIME", help="leave out later events; the window ends there"
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, metavar="N", help="worker processes  [1]")
@click.option("--report", type=ReportFile(), metavar="FILE", help="write everything found as JSON")
@click.option(
    "--speed",
    type=Speed(),
    metavar="X|max",
    help="times real time  [max for files; the end of the demo stream at 1200]",
)
@click.option(
    "--employees",
    is_flag=True,
    help="begin with settings for employees; without FILE the stream is that of a made-up company, and the exit status "
    "says whether nobody is named who must not be",
)
@click.option("--users", type=click.IntRange(min=1000), metavar="N", help=f"people of the demo stream  [{USERS}]")
@click.option(
    "--stay/--no-stay",
    default=None,
    help="leave everything running at the end, to look around  [--stay in a terminal]",
)
@settings_options(*_NAMES, defaults=lambda options: EMPLOYEES if options["employees"] else {})
def command(
    *,
    settings: Settings,
    files: Sequence[Path],
    until_ms: int | None,
    workers: int,
    report: Path | None,
    speed: float | None,
    employees: bool,
    users: int | None,
    stay: bool | None,
) -> None:
    """Track the demo stream, or recorded events from FILEs; - is the standard input.

    Files are JSON lines, JSON arrays, CSV, TSV or Parquet, compressed or not: see `stream-app replay --help`.

    Starts an embedded Kafka and Redis, and workers; needs no server, only `pip install 'stream-app[demo]'`. The demo
    stream is a day of talk about five products, generated so that the right answers are known. The page shows all of
    it. In a terminal everything keeps running at the end, and further days of the demo stream follow, until Ctrl-C.
    The exit status is 1 where no event could be counted, or where the cuts did not settle.

    With --employees nobody is named among fewer than five people, and the settings fit mail and chat: a window of four
    weeks, and the others of docs/employees.md, unless you set them. Without FILE a made-up company is tracked; the exit
    status is 1 as well where anything names somebody who must not be named, or where a cut is wrong.
    """
    from stream_app.demo.employees.said import show_employees
    from stream_app.demo.feed import company_stream, demo_stream, recorded_stream
    from stream_app.demo.generator.company import ACROSS
    from stream_app.demo.progress import ProgressView
    from stream_app.demo.report import report_of
    from stream_app.demo.result import print_result
    from stream_app.demo.runner import running_demo
    from stream_app.engine.rounds.curve_exchange import WATERMARK_KEY

    if employees:
        settings = _for_employees(settings, files, until_ms, users)
    end_like_ctrl_c()
    out = console()
    stay = sys.stdin.isatty() and out.is_terminal if stay is None else stay
    if files:
        make = partial(recorded_stream, files, until_ms, speed if speed != math.inf else None, settings)
    elif employees:
        make = partial(company_stream, speed, settings)
    else:
        make = partial(demo_stream, users or USERS, until_ms, speed)
        if not settings.population_sizes:
            settings = msgspec.structs.replace(settings, population_sizes={DEFAULT_POPULATION: users or USERS})
    _print_start(out, _streams(files, employees=employees), settings, workers)
    with running_demo(
        make,
        settings,
        workers=workers,
        until_ms=until_ms,
        watermark_key=WATERMARK_KEY,
        view=ProgressView(out, ACROSS if employees and not files else None),
        on_start=lambda own: out.print(marked("[bold]The page: [cyan]{}[/][/]\n", _page(own))),
    ) as result:
        print_result(out, result)
        judged = show_employees(out, result) if employees else None
        if result.found is not None:
            print_found(out, result.found, result.settings)
        if report is not None:
            report.write_text(
                json.dumps(report_of(result, judged), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
            )
        _print_next_steps(out, result.settings, report, files, employees=employees, stay=stay)
        if stay:
            _stay(result.settings, None if files or employees else users or USERS)
    if not result.is_settled or (result.counted.read and not result.counted.applied):
        raise SystemExit(1)
    if judged is not None and not judged.is_right:
        raise SystemExit(1)


def _for_employees(settings: Settings, files: Sequence[Path], until_ms: int | None, users: int | None) -> Settings:
    """With the secrets that a tracker of employees has. Raises UsageError for what the company has not."""
    if not files and (until_ms is not None or users is not None):
        raise click.UsageError("the made-up company of --employees is tracked as a whole: without --until and --users")
    missing = [name for name in ("person_key", "peer_secret") if not getattr(settings, name)]
    return msgspec.structs.replace(settings, **{name: Secret(secrets.token_hex()) for name in missing})


def _streams(files: Sequence[Path], *, employees: bool) -> str:
    return ", ".join(path.name for path in files) or ("a made-up company" if employees else "the demo stream")


def _print_start(out: Console, what: str, settings: Settings, workers: int) -> None:
    window, pane = (duration_text(seconds) for seconds in (settings.window_s, settings.pane_s))
    out.print(
        marked(
            "[bold]Tracking {}[/]\n[dim]{}, a window of {} in panes of {}; Ctrl-C ends it[/]\n",
            *(what, plural(workers, "worker"), window, pane),
        )
    )


def _page(settings: Settings) -> str:
    """Its address on the first worker."""
    return f"http://{host_port(settings.http_host, settings.http_port)}/"


def _print_next_steps(
    out: Console, settings: Settings, report: Path | None, files: Sequence[Path], *, employees: bool, stay: bool
) -> None:
    lines = []
    if report is not None:
        lines.append((str(report), "everything found, as JSON"))
    if stay:
        about = "population=across" if employees and not files else "topic=phone"
        broker, redis = f"--brokers {settings.brokers}", f"--redis-url {settings.redis_url}"
        lines += [
            (_page(settings), "who matters, why, and what is moving"),
            (f"curl {_page(settings)}api/v1/influencers?{about}", "the same for programs"),
            (f"curl {_page(settings)}metrics", "the first worker's metrics"),
            (f"stream-app watch --from-beginning {broker}", "every flag"),
            (f"stream-app top --role maven {redis}", "the top mavens"),
        ]
    else:
        if not files:
            chosen = "--employees" if employees else "--window 7d --pane 1h"
            lines.append((f"stream-app demo FILE {chosen}", "the same with your events"))
        lines += [
            ("stream-app demo --stay", "leave it running to look around"),
            ("stream-app topics create; stream-app worker", "with your Kafka"),
            ("stream-app --help", "all commands; README.md has more"),
        ]
    width = max(len(command) for command, _ in lines)
    out.print(marked("\n[bold]Where to look next[/]"))
    for command_line, what in lines:
        out.print(marked("  [cyan]{}[/]  [dim]{}[/]", command_line.ljust(width), what), soft_wrap=True)
    if stay:
        more = "" if files or employees else ", and the next days follow"
        out.print(marked("\nEverything keeps running{}. [dim]Ctrl-C ends it.[/]", more))


def _stay(settings: Settings, users: int | None) -> None:
    """Wait for Ctrl-C; produce further days of the demo stream meanwhile, where it has `users`."""
    from stream_app.demo.generator.days import SPEED, further_days
    from stream_app.demo.runner import going_on

    events = further_days(users) if users is not None else ()
    with suppress(KeyboardInterrupt), going_on(events, SPEED, settings):
        threading.Event().wait()
