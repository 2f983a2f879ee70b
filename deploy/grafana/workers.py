"""The second half of the dashboard Pipeline: how the workers are, what they hold, and Redis."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    SpecialValueMap,
    SpecialValueMatch,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from deploy.grafana import parts
from deploy.grafana.parts import ORANGE, RATE, Query

WORKER = 'job="$job", instance=~"$instance"'
BY_INSTANCE = "{{instance}}"

UP_OR_DOWN: list[ValueMapping] = [
    ValueMap({"0": ValueMappingResult("down", parts.RED), "1": ValueMappingResult("up", parts.GREEN)}),
    SpecialValueMap(
        DashboardSpecialValueMapOptions(SpecialValueMatch.NA_N, ValueMappingResult("none configured", parts.GREY))
    ),
]

PAUSED: list[ValueMapping] = [
    ValueMap({"0": ValueMappingResult("raised", parts.GREEN), "1": ValueMappingResult("paused", parts.RED)})
]


def add_to(board: Dashboard) -> None:
    """Rows of panels below those that are there."""
    _state(board.with_row(Row("State: what the workers hold")))
    _workers(board.with_row(Row("Workers")))
    _redis(board.with_row(Row("Redis, and what is not shown")))


def _state(board: Dashboard) -> None:
    board.with_panel(
        parts.curves(
            "Active users and rows",
            "Users with an event in the window, and rows in memory: one for each user, topic and population.",
            units.Short,
            Query(f"sum(influence_active_users{{{WORKER}}})", "active users"),
            Query(f"sum(influence_rows{{{WORKER}}})", "rows"),
        )
    )
    board.with_panel(
        parts.curves(
            "Marked users",
            "Users about whom a signal has a fact, by signal; docs/how-it-decides.md says what each does not say.",
            units.Short,
            Query(f"sum by (signal) (influence_marked_users{{{WORKER}}})", "{{signal}}"),
        )
    )
    board.with_panel(
        parts.curves(
            "Segments",
            "What the ledgers consist of: one for each batch, merged into one for each pane when it is over. It rises "
            "and falls; a rise that lasts makes recovery slow.",
            units.Short,
            Query(f"sum by (instance) (influence_segments{{{WORKER}}})", BY_INSTANCE),
        )
    )
    board.with_panel(
        parts.curves(
            "Memory",
            "What a process takes, and the counts in it. The counts are bounded by what happens in the window.",
            units.BytesIEC,
            Query(f"process_resident_memory_bytes{{{WORKER}}}", f"process: {BY_INSTANCE}"),
            Query(f"influence_state_bytes{{{WORKER}}}", f"counts: {BY_INSTANCE}"),
        )
    )


def _workers(board: Dashboard) -> None:
    board.with_panel(
        parts.states(
            "Workers up",
            "Whether Prometheus reaches a worker. Others take over the partitions of one that is gone.",
            UP_OR_DOWN,
            Query(f"up{{{WORKER}}}", BY_INSTANCE),
        )
    )
    board.with_panel(
        parts.states(
            "Flags",
            "Paused while workers with different settings are there: give all of them the same.",
            PAUSED,
            Query(f"influence_flags_paused{{{WORKER}}}", BY_INSTANCE),
        )
    )
    board.with_panel(
        parts.curves(
            "Partitions not heard",
            "Of these a worker has not heard everything: the cuts that it puts together stand still.",
            units.Short,
            Query(f"influence_unheard_partitions{{{WORKER}}}", BY_INSTANCE),
            steps=((1, ORANGE),),
        )
    )
    board.with_panel(
        parts.curves(
            "Processor time",
            "A worker counts on one core, and takes a little of others for the network. At 100 % for long it is full: "
            "start another one, up to the number of partitions.",
            units.PercentUnit,
            Query(f"rate(process_cpu_seconds_total{{{WORKER}}}[{RATE}])", BY_INSTANCE),
            steps=((1, ORANGE),),
        )
    )
    board.with_panel(
        parts.curves(
            "Time since the start",
            "Since the process started. A saw tooth is a worker that is started again and again.",
            units.Seconds,
            Query(f"time() - process_start_time_seconds{{{WORKER}}}", BY_INSTANCE),
        )
    )
    rebalances = parts.curves(
        "Rebalances",
        "How often the partitions of a worker were moved. One or two when a worker comes or goes is as it should be.",
        units.LocaleFormat,
        Query(f"sum by (instance) (increase(influence_rebalances_total{{{WORKER}}}[$__interval]))", BY_INSTANCE),
    )
    board.with_panel(parts.counted(rebalances, "1m"))
    board.with_panel(
        parts.curves(
            "Time the last recovery took",
            "From the assignment of partitions to their ledgers rebuilt, and counting. About 10 s for a million rows.",
            units.Seconds,
            Query(f"influence_recovery_seconds{{{WORKER}}}", BY_INSTANCE),
            steps=((30, ORANGE),),
        )
    )
    board.with_panel(
        parts.curves(
            "Recovery: records still to read",
            "Of the changelogs, while ledgers are rebuilt. It falls to 0 within seconds; until then it counts nothing.",
            units.Short,
            Query(f"influence_recovery_remaining_records{{{WORKER}}}", BY_INSTANCE),
        )
    )


def _redis(board: Dashboard) -> None:
    board.with_panel(
        parts.states(
            "Redis",
            "Up while a worker refreshes the board, down while Redis fails. Counting and flags continue without it.",
            UP_OR_DOWN,
            Query(f"influence_redis_up{{{WORKER}}}", BY_INSTANCE),
        )
    )
    dropped = parts.curves(
        "Flags missing from the Redis stream",
        "Given up because Redis was down for too long. Kafka has them all.",
        units.LocaleFormat,
        Query(f"sum by (instance) (increase(influence_flags_dropped_total{{{WORKER}}}[$__interval]))", BY_INSTANCE),
    )
    board.with_panel(parts.counted(dropped, "1m"))
    omitted = parts.curves(
        "Cuts left out of the metrics",
        "A worker shows 1,000 cuts at most. Name fewer topics in STREAM_APP_METRIC_TOPICS, or use fewer populations.",
        units.LocaleFormat,
        Query(f"sum by (instance) (increase(influence_cuts_omitted_total{{{WORKER}}}[$__interval]))", BY_INSTANCE),
    )
    board.with_panel(parts.counted(omitted, "1m"))
