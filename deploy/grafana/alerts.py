"""The last part of the dashboard Pipeline: whether messages about flags are delivered."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMapping, ValueMappingResult

from deploy.grafana import parts
from deploy.grafana.parts import RATE, RED, Query

ALERTS = 'job=~"$job(-alerts)?"'
"""The process that delivers is scraped under a name of its own."""

ACTIVE: list[ValueMapping] = [
    ValueMap({"0": ValueMappingResult("stands by", parts.BLUE), "1": ValueMappingResult("delivers", parts.GREEN)})
]


def add_to(board: Dashboard) -> None:
    """Rows of panels below those that are there."""
    board.with_row(Row("Alerts: messages about flags"))
    board.with_panel(
        parts.curves(
            "Messages delivered and given up",
            "Messages per second that need no further try, by sink. What was given up is in the topic "
            "influence.undelivered, with the reason.",
            units.Short,
            Query(
                f"sum by (sink, result) (rate(influence_alerts_deliveries_total{{{ALERTS}}}[{RATE}]))",
                "{{sink}} {{result}}",
            ),
            Query(f"sum by (sink) (rate(influence_alerts_retries_total{{{ALERTS}}}[{RATE}]))", "{{sink}} tried again"),
        )
    )
    board.with_panel(
        parts.curves(
            "Messages that wait",
            "Messages that a sink has still to get. It is near 0 where sinks answer.",
            units.Short,
            Query(f"max by (sink) (influence_alerts_waiting{{{ALERTS}}})", "{{sink}}"),
        )
    )
    board.with_panel(
        parts.curves(
            "Age of the oldest message that waits",
            "Above the dashed line it is an alert.",
            units.Seconds,
            Query(f"max by (sink) (influence_alerts_oldest_seconds{{{ALERTS}}})", "{{sink}}"),
            steps=((600, RED),),
        )
    )
    latency = f"sum by (le) (rate(influence_alerts_delivery_seconds_bucket{{{ALERTS}}}[5m]))"
    board.with_panel(
        parts.curves(
            "From a flag to its delivery",
            "Half of the messages, and 95 of 100, took no longer than this. Those that were held back are left out. "
            "Nothing is drawn while none are sent.",
            units.Seconds,
            *(Query(f"histogram_quantile({part}, {latency})", f"{part:.0%}") for part in (0.5, 0.95)),
        )
    )
    board.with_panel(
        parts.curves(
            "Flags not sent at once, per second",
            "Cooldown: after a message about the user. Limit and quiet: they wait for a digest. Repeat: the flag came "
            "before. Too old: it was raised longer ago than max_age.",
            units.Short,
            Query(f"sum by (reason) (rate(influence_alerts_held_total{{{ALERTS}}}[{RATE}]))", "{{reason}}"),
        )
    )
    board.with_panel(
        parts.states(
            "Instances that deliver",
            "One of the instances delivers; the others stand by and take over when it is gone.",
            ACTIVE,
            Query(f"influence_alerts_active{{{ALERTS}}}", "{{instance}}"),
        )
    )
    board.with_panel(
        parts.curves(
            "What is odd, per second",
            "Unreadable: records of its state that no release can have written; they are left out. The others: bounds "
            "of its port that were met.",
            units.Short,
            Query(f"sum(rate(influence_alerts_unreadable_total{{{ALERTS}}}[{RATE}]))", "unreadable"),
            Query(f"sum by (bound) (rate(influence_alerts_bound_hits_total{{{ALERTS}}}[{RATE}]))", "{{bound}}"),
        )
    )
