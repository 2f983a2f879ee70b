"""What the benchmark found: the table for people and the report for programs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stream_app.settings import Settings
from stream_app.settings.text import duration_text
from tests.benchmarks.idiomatic import APP_FILE, Idiomatic
from tests.benchmarks.page import PageCost
from tests.benchmarks.tracker import Counting, State

MILLION = 1_000_000
_QUIET_LOAD = 0.5
TARGETS = {
    "events_per_second": "≥ 100,000",
    "cpu_s_per_million": "≤ 8",
    "bytes_per_row": "≤ 200",
    "restart_s": "≤ 10",
    "ratio": "≥ 30",
}


class Result(NamedTuple):
    """What was measured, and on what."""

    settings: Settings
    counting: Counting
    state: State
    idiomatic: Idiomatic | None
    """None where its code is not there: it belongs to the repository, not to the package."""
    machine: str
    load_before: float
    """Load average over the last minute before it began: above 0.5 or so, others had a part of the processor."""

    @property
    def ratio(self) -> float | None:
        """Events per second of the tracker over those of the idiomatic app."""
        if self.idiomatic is None:
            return None
        return (self.counting.events / self.counting.seconds) / (self.idiomatic.events / self.idiomatic.seconds)


def report_of(result: Result) -> dict[str, Any]:
    """The report as JSON values: the figures asked for, and beside them what they were measured with."""
    counting, state, idiomatic = result.counting, result.state, result.idiomatic
    tracker = {
        "events_per_second": round(counting.events / counting.seconds),
        "cpu_s_per_million": round(counting.cpu_s / counting.events * MILLION, 2),
        "peak_rss_mb": round(counting.peak_rss_mb, 1),
        "bytes_per_row": round(state.bytes_per_row, 1),
        "restart_s": round(state.restart_s, 2),
        "events": counting.events,
        "seconds": round(counting.seconds, 2),
        "rows": counting.rows,
        "durable_after_s": round(counting.durable_after_s, 2),
        "start_cpu_s": round(counting.start_cpu_s, 2),
        "state": {
            "rows": state.rows,
            "users": state.users,
            "idle_rss_mb": round(state.idle_rss_mb, 1),
            "loaded_rss_mb": round(state.loaded_rss_mb, 1),
            "restarted_rss_mb": round(state.restarted_rss_mb, 1),
            "start_s": round(state.start_s, 2),
        },
    }
    slow = None
    if idiomatic is not None:
        slow = {
            "events_per_second": round(idiomatic.events / idiomatic.seconds),
            "cpu_s_per_million": round(idiomatic.cpu_s / idiomatic.events * MILLION, 1),
            "peak_rss_mb": round(idiomatic.peak_rss_mb, 1),
            "events": idiomatic.events,
            "seconds": round(idiomatic.seconds, 2),
        }
    return {
        "tracker": tracker,
        "idiomatic_faust": slow,
        "ratio": None if result.ratio is None else round(result.ratio, 1),
        "machine": result.machine,
        "load_before": round(result.load_before, 2),
        "settings": {**msgspec.to_builtins(result.settings, enc_hook=str), "version": result.settings.version},
    }


def print_result(out: Console, result: Result) -> None:
    """Print the table, and what the figures mean."""
    report = report_of(result)
    tracker, slow, state = report["tracker"], report["idiomatic_faust"] or {}, result.state
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("")
    for header in ("tracker, 1 worker", "idiomatic Faust", "to reach"):
        table.add_column(header, justify="right")
    for name, label in (
        ("events_per_second", "events/s"),
        ("cpu_s_per_million", "CPU s per million events"),
        ("peak_rss_mb", "peak memory, MB"),
        ("bytes_per_row", f"bytes per row, {state.rows:,} rows"),
        ("restart_s", "s from kill -9 to ready with these rows"),
    ):
        table.add_row(label, _number(tracker[name]), _number(slow.get(name)), TARGETS.get(name, ""))
    table.add_row("events/s, times the idiomatic app", _number(report["ratio"]), "", TARGETS["ratio"])
    out.print(table)
    for line in _notes(result):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


def print_page_cost(out: Console, cost: PageCost) -> None:
    """Print what open pages cost, and the turns it is taken from."""
    out.print(f"[bold]{cost.browsers} open pages cost {cost.percent:.2f} % of a core[/]")
    pairs = zip(cost.without_s, cost.with_s, strict=True)
    turns = ", ".join(f"{away:.3f} → {there:.3f}" for away, there in pairs)
    out.print(
        f"[dim]The median of {len(cost.with_s)} turns at {cost.events_per_s:,.0f} events/s; each page reads "
        f"{cost.kb_per_s:,.1f} KB/s.\nCPU seconds per second without and with them: {turns}[/]",
        soft_wrap=True,
    )


def _notes(result: Result) -> Iterator[str]:
    counting, state, settings = result.counting, result.state, result.settings
    window, pane, short = map(duration_text, (settings.window_s, settings.pane_s, settings.short_s))
    yield result.machine
    if result.load_before > _QUIET_LOAD:
        yield f"The machine was busy before the start (load {result.load_before:.1f}): on a quiet one it is faster."
    yield (
        f"Tracker: {counting.events:,} events; window {window}, panes of {pane}, short window {short}; every count "
        "durable on Kafka; cuts, flags and the Redis board on; embedded broker and Redis on the same machine."
    )
    yield (
        "A row is a user in a topic, or in `*` (all topics). Bytes per row: resident memory of the loaded, settled "
        f"worker less that of an idle one ({state.loaded_rss_mb:,.0f} − {state.idle_rss_mb:,.0f} MB)."
    )
    yield (
        "Restart: from the start of the process, right after kill -9, until /readyz and every row is back. Kafka first "
        f"gives the dead worker up ({settings.session_timeout_s:g} s). After an ordinary end: {state.start_s:.1f} s."
    )
    if result.idiomatic is None:
        yield f"The idiomatic app was left out: {APP_FILE.name} is part of the repository, not of the package."
    else:
        yield (
            f"Idiomatic Faust: the first {result.idiomatic.events:,} of the same events, log level INFO; "
            "one event at a time, two tables, totals only."
        )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,g}"
