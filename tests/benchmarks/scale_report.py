"""The results of the scale benchmark: a table for people and a JSON report for programs."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.benchmarks.scale import EverydayLoad, ScaleCost

_MILLION = 1_000_000


def scale_report(cost: ScaleCost) -> dict[str, Any]:
    """The report as JSON values."""
    scenario, counting = cost.scenario, cost.catching_up
    return {
        "topics": scenario.topics,
        "workers": scenario.workers,
        "events": scenario.events,
        "events_per_second": round(scenario.events / counting.seconds),
        "cpu_s_per_million": round(counting.cpu_s / scenario.events * _MILLION, 2),
        "rss_mb": [round(mb) for mb in counting.rss_mb],
        "peak_rss_mb": [round(mb) for mb in counting.peak_rss_mb],
        "idle_cores": round(cost.idle_cores, 3),
        "idle_bytes": cost.idle_bytes,
        "loads": [_load_report(load) for load in cost.loads],
    }


def print_scale(out: Console, report: dict[str, Any], machine: str) -> None:
    """Print the table."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for label, value in _rows(report):
        table.add_row(label, value)
    out.print(table)
    out.print(f"[dim]{machine}; CPU and cores are of all workers together, without Kafka.[/]", soft_wrap=True)


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("topics · workers · broker", f"{report['topics']:,} · {report['workers']} · {report['kafka']}"),
        ("catching up: events/s", f"{report['events_per_second']:,}"),
        ("catching up: CPU s per million events", f"{report['cpu_s_per_million']:g}"),
        ("resident MB of each worker", _listed(report["rss_mb"])),
        ("at most", _listed(report["peak_rss_mb"])),
        ("idle: cores", f"{report['idle_cores']:.3f}"),
        ("idle: bytes written", f"{report['idle_bytes']:,}"),
    ]
    for load in report["loads"]:
        at = f"{load['rate']:,}/s"
        rows += [
            (f"{at}: cores", f"{load['cores']:.3f}"),
            (f"{at}: event → flag, p50 · p99 s", f"{load['flag_p50_s']:.2f} · {load['flag_p99_s']:.2f}"),
            (f"{at}: bytes written per event", f"{sum(load['bytes_per_event'].values()):,.0f}"),
            *((f"   {topic}", f"{size:,.0f}") for topic, size in load["bytes_per_event"].items()),
        ]
    return rows


def _load_report(load: EverydayLoad) -> dict[str, Any]:
    return {
        "rate": load.rate,
        "cores": round(load.cores, 3),
        "cpu_s_per_million": round(load.cores / load.rate * _MILLION, 1),
        "flags": load.flags,
        "flag_p50_s": round(load.flag_p50_s, 3),
        "flag_p99_s": round(load.flag_p99_s, 3),
        "bytes_per_event": {topic: round(size / load.events, 1) for topic, size in load.written_bytes.items()},
    }


def _listed(sizes: Sequence[float]) -> str:
    return " · ".join(f"{size:,}" for size in sizes)
