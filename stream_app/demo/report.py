"""The report of a demo as one JSON object, for programs."""

from collections import Counter
from typing import Any

import msgspec

from stream_app.core.messages import Cut, FlagType
from stream_app.demo.employees.verdict import Verdict
from stream_app.demo.runner import DemoResult
from stream_app.demo.truth import Foresight, Measured, foresight, measured

_OF_A_CUT = (
    *("topic", "population", "role", "users", "total", "k", "threshold", "ties", "coverage", "gini", "diffuse"),
    *("flagged", "emerging", "k_low", "k_high", "percent_of_users_low", "percent_of_users_high"),
    *("threshold_low", "threshold_high"),
)


def report_of(result: DemoResult, judged: Verdict | None = None) -> dict[str, Any]:
    """Counts, cuts in order of topic and role, flags by type; with the truth, where it is known, the errors."""
    counted = result.counted
    counts = Counter(flag.type for flag in result.flags)
    report: dict[str, Any] = {
        "events": {
            "read": counted.read,
            "applied": counted.applied,
            "duplicate": counted.duplicate,
            "late": counted.late,
            "rejected": counted.rejected,
        },
        "unknown_audience": counted.unknown,
        "watermark": counted.watermark,
        "settings": {**msgspec.to_builtins(result.settings, enc_hook=str), "version": result.settings.version},
        "cuts": [_cut(cut) for cut in sorted(result.cuts, key=lambda cut: (cut.topic, cut.population, cut.role))],
        "settled": result.is_settled,
        "flags": {name.value: counts[name] for name in FlagType},
        "seconds": round(result.seconds, 3),
        "events_per_second": round(counted.read / result.seconds, 1) if result.seconds else 0.0,
    }
    if result.truth is not None:
        report["truth"] = [_measured(row) for row in measured(result.truth, result.cuts)]
    if (planted := result.truth or result.company) is not None:
        report["risers"] = _foresight(foresight(planted, result.flags))
    if judged is not None:
        report["verdict"] = judged._asdict() | {"is_right": judged.is_right}
    return report


def _cut(cut: Cut) -> dict[str, Any]:
    fields = msgspec.to_builtins(cut)
    return {name: fields[name] for name in _OF_A_CUT}


def _measured(row: Measured) -> dict[str, Any]:
    true, cut = row.true, row.cut
    return {
        "topic": true.topic,
        "role": true.role.value,
        "k": {"measured": cut.k if cut else None, "true": true.k},
        "percent_of_users": {"measured": cut.percent_of_users if cut else None, "true": true.percent_of_users},
        "percent_of_population": {
            "measured": cut.percent_of_population if cut else None,
            "true": true.percent_of_population,
        },
        "within_half_a_point": row.is_right,
    }


def _foresight(seen: Foresight) -> dict[str, Any]:
    return {
        "planted": len(seen.risers),
        "flagged_before_they_entered": len(seen.leads_ms),
        "lead_s": {
            "median": seen.median_lead_ms / 1000 if seen.leads_ms else None,
            "least": min(seen.leads_ms) / 1000 if seen.leads_ms else None,
        },
        "decoys_flagged": len(seen.decoys),
        "others_flagged": seen.others,
        "false_alarms": seen.false_alarms,
        "of_these_undecided": seen.undecided,
        "each": [
            {
                "user_id": rise.riser.user_id,
                "topic": rise.riser.topic,
                "role": rise.riser.role.value,
                "onset": rise.riser.onset_ms,
                "crossing": rise.riser.crossing_ms,
                "emerging": rise.emerging.event_time if rise.emerging else None,
                "entered": rise.entered.event_time if rise.entered else None,
            }
            for rise in seen.risers
        ],
    }
