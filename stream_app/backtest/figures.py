"""The report of a backtest: its figures, for the terminal and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median, quantiles

import msgspec

from stream_app.backtest.run import BacktestResult, RoleResult
from stream_app.core.flags.outcomes import calibration_of, reasons_of
from stream_app.core.messages import Flag

_MS_PER_H = 3_600_000


class ForesightFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How good the emerging flags were."""

    emerging: int
    """Flags that are decided: came true, or are older than 12 h."""
    precision: float | None
    """Part of them whose user entered within 12 h."""
    entered: int
    recall: float | None
    """Part of the entries that had such a flag within the 12 h before."""
    true_positive_rate: float | None
    """Of the days on which a candidate entered: the part that was foreseen."""
    false_positive_rate: float | None
    """Of the days on which a candidate did not: the part with a flag all the same."""
    lead_h: list[float]
    """From the first warning to the entry, in hours: quartiles."""
    undecided: int
    flags_per_standing: float | None
    """Median."""


class CalibrationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The emerging flags whose stated chance lies in one tenth, as 0.6 to 0.7."""

    stated: float
    """Mean of the chances."""
    observed: float
    """Part of them whose user entered within 12 h."""
    flags: int


class BacktestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest found, with some settings."""

    settings: dict[str, str]
    """Those that are not as given for the first run."""
    read: int
    applied: int
    duplicate: int
    late: int
    rejected: int
    flags: int
    warming_up: int
    """Flags from before the tracker had seen a whole window; all that follows is about the others."""
    types: dict[str, int]
    reasons: dict[str, dict[str, int]]
    """By type and reason."""
    both: ForesightFigures
    roles: dict[str, ForesightFigures]
    topics: dict[str, ForesightFigures]
    """All topics together (*), and single ones."""
    calibration: list[CalibrationFigures]
    """By tenth; the chance of a flag is that of the flags before it."""
    raised: list[Flag]


def report_of(result: BacktestResult, variant: Mapping[str, str]) -> BacktestReport:
    """Put the figures of a result together."""
    warm = [flag for flag in result.flags if not flag.warming_up]
    counted = result.counted
    reasons: dict[str, dict[str, int]] = {}
    for (flag_type, reason), count in sorted(reasons_of(warm).items(), key=lambda pair: -pair[1]):
        reasons.setdefault(flag_type, {})[reason or "none"] = count
    return BacktestReport(
        settings=dict(variant),
        read=result.read,
        applied=counted.applied,
        duplicate=counted.duplicate,
        late=counted.late,
        rejected=counted.rejected,
        flags=len(result.flags),
        warming_up=result.warming_up,
        types=dict(Counter(str(flag.type) for flag in warm).most_common()),
        reasons=reasons,
        both=_foresight(result.both),
        roles={role: _foresight(found) for role, found in result.by_role.items()},
        topics={name: _foresight(found) for name, found in result.by_size.items()},
        calibration=[
            CalibrationFigures(stated=round(one.stated, 3), observed=round(one.observed, 3), flags=one.flags)
            for one in calibration_of(result.both.outcomes.warned)
        ],
        raised=result.flags,
    )


def _foresight(found: RoleResult) -> ForesightFigures:
    outcomes, rates = found
    leads = [entry.lead_ms / _MS_PER_H for entry in outcomes.entries if entry.lead_ms is not None]
    return ForesightFigures(
        emerging=len(outcomes.warned),
        precision=_digits(rates.precision),
        entered=len(outcomes.entries),
        recall=_digits(rates.recall),
        true_positive_rate=_digits(rates.true_positive_rate),
        false_positive_rate=_digits(rates.false_positive_rate),
        lead_h=[round(lead, 2) for lead in _quartiles(leads)],
        undecided=outcomes.undecided,
        flags_per_standing=median(outcomes.per_standing) if outcomes.per_standing else None,
    )


def _quartiles(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3


def _digits(part: float | None) -> float | None:
    return None if part is None else round(part, 3)
