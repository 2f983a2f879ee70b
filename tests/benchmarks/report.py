"""The results of a benchmark: a table for people and a JSON report for programs."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stream_app.settings import Settings
from stream_app.settings.text import duration_text
from tests.benchmarks.baseline import Baseline
from tests.benchmarks.page_load import PageCost
from tests.benchmarks.peers.measure import PeerCost
from tests.benchmarks.state import StateCost
from tests.benchmarks.throughput import Throughput

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
    """The measurements, the settings and the machine."""

    settings: Settings
    throughput: Throughput
    of_an_hour: Throughput
    """As many events, all of one hour: few steps of event time, so this is what events cost."""
    state: StateCost
    baseline: Baseline
    machine: str
    load_before: float
    """Load average over the minute before the start: above 0.5 or so, other processes took CPU time."""

    @property
    def ratio(self) -> float:
        """Events per second of the tracker over those of the idiomatic app."""
        return (self.throughput.events / self.throughput.seconds) / (self.baseline.events / self.baseline.seconds)


def report_of(result: Result) -> dict[str, Any]:
    """The report as JSON values: the figures, and the counts and times behind them."""
    throughput, state, baseline = result.throughput, result.state, result.baseline
    tracker = {
        "events_per_second": round(throughput.events / throughput.seconds),
        "cpu_s_per_million": round(throughput.cpu_s / throughput.events * MILLION, 2),
        "events_per_second_of_an_hour": round(result.of_an_hour.events / result.of_an_hour.seconds),
        "cpu_s_per_million_of_an_hour": round(result.of_an_hour.cpu_s / result.of_an_hour.events * MILLION, 2),
        "peak_rss_mb": round(throughput.peak_rss_mb, 1),
        "bytes_per_row": round(state.bytes_per_row, 1),
        "restart_s": round(state.restart_s, 2),
        "events": throughput.events,
        "seconds": round(throughput.seconds, 2),
        "rows": throughput.rows,
        "durable_after_s": round(throughput.durable_after_s, 2),
        "start_cpu_s": round(throughput.start_cpu_s, 2),
        "state": {
            "rows": state.rows,
            "users": state.users,
            "idle_rss_mb": round(state.idle_rss_mb, 1),
            "loaded_rss_mb": round(state.loaded_rss_mb, 1),
            "restarted_rss_mb": round(state.restarted_rss_mb, 1),
            "start_s": round(state.start_s, 2),
        },
    }
    idiomatic = {
        "events_per_second": round(baseline.events / baseline.seconds),
        "cpu_s_per_million": round(baseline.cpu_s / baseline.events * MILLION, 1),
        "peak_rss_mb": round(baseline.peak_rss_mb, 1),
        "events": baseline.events,
        "seconds": round(baseline.seconds, 2),
    }
    return {
        "tracker": tracker,
        "idiomatic_faust": idiomatic,
        "ratio": round(result.ratio, 1),
        "machine": result.machine,
        "load_before": round(result.load_before, 2),
        "settings": {**msgspec.to_builtins(result.settings, enc_hook=str), "version": result.settings.version},
    }


def print_result(out: Console, result: Result) -> None:
    """Print the table, and notes on what the figures mean."""
    report = report_of(result)
    tracker, idiomatic, state = report["tracker"], report["idiomatic_faust"], result.state
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("")
    for header in ("tracker, 1 worker", "idiomatic Faust", "to reach"):
        table.add_column(header, justify="right")
    for name, label in (
        ("events_per_second", "events/s"),
        ("cpu_s_per_million", "CPU s per million events"),
        ("events_per_second_of_an_hour", "events/s, all of one hour"),
        ("cpu_s_per_million_of_an_hour", "CPU s per million events, all of one hour"),
        ("peak_rss_mb", "peak memory, MB"),
        ("bytes_per_row", f"bytes per row, {state.rows:,} rows"),
        ("restart_s", "s from kill -9 to ready with these rows"),
    ):
        table.add_row(label, _number(tracker[name]), _number(idiomatic.get(name)), TARGETS.get(name, ""))
    table.add_row("events/s, times the idiomatic app", _number(report["ratio"]), "", TARGETS["ratio"])
    out.print(table)
    for line in _notes(result):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


def print_peers(out: Console, costs: Sequence[PeerCost], kafka: str, machine: str) -> None:
    """Print the table of the tracker and its peers."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column(f"{costs[0].events:,} events, {kafka} Kafka")
    for header in ("events/s", "CPU s per million events", "peak memory, MB"):
        table.add_column(header, justify="right")
    for cost in costs:
        million = cost.cpu_s / cost.events * MILLION
        table.add_row(cost.name, _number(cost.events / cost.seconds), f"{million:.1f}", f"{cost.peak_rss_mb:,.0f}")
    out.print(table)
    out.print(
        f"[dim]{machine}\nThe peers keep totals only: no duplicates, cuts or flags; the loop loses "
        "everything when it ends. Kafka Streams is measured where a JDK and Maven are.[/]",
        soft_wrap=True,
    )


def print_page_cost(out: Console, cost: PageCost) -> None:
    """Print the cost of open pages, and the turns it is computed from."""
    out.print(f"[bold]{cost.browsers} open pages cost {cost.percent:.2f} % of a core[/]")
    pairs = zip(cost.without_s, cost.with_s, strict=True)
    turns = ", ".join(f"{away:.3f} → {there:.3f}" for away, there in pairs)
    out.print(
        f"[dim]The median of {len(cost.with_s)} turns at {cost.events_per_s:,.0f} events/s; each page reads "
        f"{cost.kb_per_s:,.1f} KB/s.\nCPU seconds per second without and with them: {turns}[/]",
        soft_wrap=True,
    )


def _notes(result: Result) -> Iterator[str]:
    throughput, state, settings = result.throughput, result.state, result.settings
    window, pane, short = map(duration_text, (settings.window_s, settings.pane_s, settings.short_s))
    yield result.machine
    if result.load_before > _QUIET_LOAD:
        yield f"The machine was busy before the start (load {result.load_before:.1f}): on a quiet one it is faster."
    yield (
        f"Tracker: {throughput.events:,} events; window {window}, panes of {pane}, short window {short}; every count "
        "durable on Kafka; cuts, flags and the Redis board on; embedded broker and Redis on the same machine."
    )
    yield (
        "A million of them are 48 hours of event time, and flags are evaluated every "
        f"{duration_text(settings.step_s)} of it, however fast they are read."
    )
    yield (
        "A row is a user in a topic, or in `*` (all topics). Bytes per row: resident memory of the loaded, settled "
        f"worker less that of an idle one ({state.loaded_rss_mb:,.0f} − {state.idle_rss_mb:,.0f} MB)."
    )
    yield (
        "Restart: from the start of the process, right after kill -9, until /readyz and every row is back. Kafka first "
        "waits for the session of the dead worker to time out "
        f"({settings.session_timeout_s:g} s). After an orderly stop: {state.start_s:.1f} s."
    )
    yield (
        f"Idiomatic Faust: the first {result.baseline.events:,} of the same events, log level INFO; "
        "one event at a time, two tables, totals only."
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,g}"
