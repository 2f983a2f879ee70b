"""The dashboard Pipeline: whether records are counted, how quickly, and what is not counted; then the workers."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.grafana import alerts, parts, workers
from deploy.grafana.parts import ORANGE, RATE, RED, Query
from deploy.grafana.workers import WORKER

SOURCE = f'{WORKER}, topic=~"$topic"'
INPUT = 'job="$job", topic=~"$topic"'

RESULT_COLOURS = {
    "applied": parts.GREEN,
    "duplicate": parts.BLUE,
    "late": parts.YELLOW,
    "rejected": parts.RED,
}


def build() -> Dashboard:
    """The whole dashboard."""
    board = parts.dashboard(
        "stream-app-pipeline",
        "Pipeline",
        "From Kafka to flags: what is read and what becomes of it, lag, latency, state, workers and Redis.",
    )
    board.with_variable(parts.choice("instance", "Worker", "By the address it is scraped at", "influence_rows"))
    source = parts.choice("topic", "Input topic", "Kafka topic of posts or shares", "influence_read_records_total")
    board.with_variable(source)
    _glance(board.with_row(Row("At a glance")))
    _throughput(board.with_row(Row("Throughput: what is read, and what becomes of it")))
    _lag(board.with_row(Row("Lag: how far counting is behind")))
    _latency(board.with_row(Row("Latency: how long a batch and a flag take")))
    workers.add_to(board)
    alerts.add_to(board)
    return board


def _glance(board: Dashboard) -> None:
    for title, description, unit, expr, steps in (
        (
            "Alerts firing",
            "How many alerts of deploy/prometheus are on. docs/runbook.md says what to do about each.",
            units.NoUnit,
            'count(ALERTS{alertname=~"Influence.*", alertstate="firing"}) or vector(0)',
            ((1, RED),),
        ),
        (
            "Workers that answer",
            "Workers that Prometheus reaches.",
            units.NoUnit,
            'sum(up{job="$job"})',
            (),
        ),
        (
            "Records per second",
            "Records read from all input topics, whatever becomes of them.",
            units.Short,
            f"sum(rate(influence_read_records_total{{{SOURCE}}}[{RATE}]))",
            (),
        ),
        (
            "Oldest record not counted",
            "The age of the oldest record that waits anywhere. From 60 s on, growing, it is an alert.",
            units.Seconds,
            f"max(influence_lag_seconds{{{SOURCE}}})",
            ((10, ORANGE), (60, RED)),
        ),
        (
            "Late",
            "Records older than the window, as a part of all, in 15 minutes. Over 5 % is an alert.",
            units.PercentUnit,
            f"max(job_topic:influence_late:ratio_rate15m{{{INPUT}}})",
            ((0.01, ORANGE), (0.05, RED)),
        ),
        (
            "Dead letters",
            "Records that cannot be counted, as a part of all, in 15 minutes. Over 1 % is an alert.",
            units.PercentUnit,
            'max(job:influence_dead_letters:ratio_rate15m{job="$job"})',
            ((0.001, ORANGE), (0.01, RED)),
        ),
    ):
        board.with_panel(parts.number(title, description, unit, Query(expr), steps))


def _throughput(board: Dashboard) -> None:
    results = parts.curves(
        "Records per second, by result",
        "Applied: counted. Duplicate: the same event again. Late: older than the window, kept in a topic of their own. "
        "Rejected: cannot be counted, kept in the dead letters.",
        units.Short,
        Query(f"sum by (result) (rate(influence_events_total{{{SOURCE}}}[{RATE}]))", "{{result}}"),
    )
    board.with_panel(parts.painted(parts.stacked(results), RESULT_COLOURS).span(parts.HALF))
    board.with_panel(
        parts.curves(
            "Late and rejected, as a part of all records",
            "In 15 minutes. A producer that is behind makes late ones, a broken one dead letters.",
            units.PercentUnit,
            Query(f"max by (topic) (job_topic:influence_late:ratio_rate15m{{{INPUT}}})", "late: {{topic}}"),
            Query('max(job:influence_dead_letters:ratio_rate15m{job="$job"})', "dead letters"),
            steps=((0.01, ORANGE), (0.05, RED)),
        ).span(parts.HALF)
    )
    board.with_panel(
        parts.curves(
            "Records unaccounted for",
            "Records read, less those skipped, applied, duplicate, late and rejected. Always 0; all else is an alert.",
            units.LocaleFormat,
            Query(
                f"sum by (instance, topic) (worker_topic:influence_unaccounted_records:diff{{{SOURCE}}})",
                "{{instance}} {{topic}}",
            ),
            steps=((1, RED),),
        )
    )
    board.with_panel(
        parts.curves(
            "What is odd about the input, records per second",
            "Skipped: came again after a restart, counted before. Misrouted: key or partition is not the user's; fix "
            "the producer. Unknown audience: their impressions are not known. Erased: of people who were erased. "
            "Unknown retraction: its event had not come; batches that wait: the worker's clock cannot judge them. The "
            "others: bounds that were met.",
            units.Short,
            Query(f"sum(rate(influence_skipped_records_total{{{SOURCE}}}[{RATE}]))", "skipped"),
            Query(f"sum(rate(influence_misrouted_records_total{{{WORKER}}}[{RATE}]))", "misrouted"),
            Query(f"sum(rate(influence_unknown_audience_events_total{{{WORKER}}}[{RATE}]))", "unknown audience"),
            Query(f"sum(rate(influence_erased_records_total{{{WORKER}}}[{RATE}]))", "erased"),
            Query(f"sum(rate(influence_unknown_retractions_total{{{WORKER}}}[{RATE}]))", "unknown retraction"),
            Query(f"sum(rate(influence_clock_waits_total{{{WORKER}}}[{RATE}]))", "batches that wait"),
            Query(f"sum by (bound) (rate(influence_bound_hits_total{{{WORKER}}}[{RATE}]))", "{{bound}}"),
        )
    )
    board.with_panel(
        parts.curves(
            "Records per batch",
            "Records are counted in batches, one for each partition and fetch. Large ones are cheap; with little input "
            "they are small.",
            units.Short,
            Query(
                f"sum by (topic) (rate(influence_read_records_total{{{SOURCE}}}[{RATE}])) "
                f"/ (sum by (topic) (rate(influence_batches_total{{{SOURCE}}}[{RATE}])) > 0)",
                "{{topic}}",
            ),
        )
    )


def _lag(board: Dashboard) -> None:
    board.with_panel(
        parts.curves(
            "Records not counted yet",
            "Records in Kafka that nobody has counted. A saw tooth near 0 is healthy; one that rises is a growing lag.",
            units.Short,
            Query(f"sum by (topic) (influence_lag_records{{{SOURCE}}})", "{{topic}}"),
        )
    )
    board.with_panel(
        parts.curves(
            "Age of the oldest record not counted",
            "In the partition that is furthest behind. Above the dashed line, and growing, it is an alert.",
            units.Seconds,
            Query(f"max by (topic) (influence_lag_seconds{{{SOURCE}}})", "{{topic}}"),
            steps=((60, RED),),
        )
    )
    board.with_panel(
        parts.curves(
            "Event time behind the clock",
            "How old the newest event is. It grows when nothing comes in, and is large when old events are replayed.",
            units.Seconds,
            Query(f"min(influence_watermark_delay_seconds{{{WORKER}}})", "newest event of all workers"),
        )
    )


def _latency(board: Dashboard) -> None:
    board.with_panel(
        parts.heat(
            "Time to count a batch",
            "To decode, count and store up to 10,000 records: how many batches took how long. A dark band that moves "
            "up means slower counting.",
            f"sum by (le) (rate(influence_batch_seconds_bucket{{{SOURCE}}}[{RATE}]))",
        )
    )
    latency = f"sum by (le) (rate(influence_flag_latency_seconds_bucket{{{WORKER}}}[5m]))"
    board.with_panel(
        parts.curves(
            "From an event on Kafka to its flag on Kafka",
            "Half of the flags, and 95 and 99 of 100, took no longer than this. Under a second is the aim. "
            "Nothing is drawn while no flags are raised.",
            units.Seconds,
            *(Query(f"histogram_quantile({part}, {latency})", f"{part:.0%}") for part in (0.5, 0.95, 0.99)),
            steps=((1, ORANGE),),
        ).span(parts.HALF)
    )
