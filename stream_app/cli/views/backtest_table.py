"""What `stream-app backtest` prints for people: runs side by side, a line for each figure."""

from collections.abc import Callable, Sequence

from stream_app.backtest.figures import BacktestReport, CalibrationFigures, ForesightFigures
from stream_app.terminal.format import plural
from stream_app.terminal.output import console, table

_SHOWN: tuple[tuple[str, Callable[[ForesightFigures], str]], ...] = (
    ("emerging flags, decided", lambda found: f"{found.emerging:,}"),
    ("  precision: entered within 12 h", lambda found: _percent(found.precision)),
    ("entries", lambda found: f"{found.entered:,}"),
    ("  recall: foreseen", lambda found: _percent(found.recall)),
    ("  lead time, quartiles", lambda found: " · ".join(f"{lead:.1f} h" for lead in found.lead_h) or "–"),
    ("true positive rate, by day", lambda found: _percent(found.true_positive_rate)),
    ("false positive rate, by day", lambda found: _percent(found.false_positive_rate)),
    ("flags per standing, median", lambda found: _count(found.flags_per_standing)),
)


def show_results(reports: Sequence[BacktestReport]) -> None:
    """Print the runs beside each other, and what the flags of the first one were raised for."""
    first, out = reports[0], console()
    late = f"{first.duplicate:,} duplicate, {first.late:,} late, {first.rejected:,} rejected"
    out.print(f"{plural(first.read, 'event')} read: {first.applied:,} applied, {late}.")
    headers = [_name(number, report) for number, report in enumerate(reports)]
    for title, chosen in _sections(first):
        rows = table(title, *headers, numbers={*headers})
        found = [chosen(report) for report in reports]
        for label, text in _SHOWN:
            rows.add_row(label, *(text(one) for one in found))
        out.print(rows)
    rows = table("flags", "reason", *headers, numbers={*headers})
    for flag_type, reasons in first.reasons.items():
        for reason in reasons:
            counts = [report.reasons.get(flag_type, {}).get(reason, 0) for report in reports]
            rows.add_row(flag_type, reason.replace("_", " "), *(f"{count:,}" for count in counts))
    out.print(rows)
    _show_calibration(reports, headers)
    if first.warming_up:
        out.print(
            f"{plural(first.warming_up, 'further flag')} of the first window are left out: values still grew because "
            "they were counted for the first time."
        )


def _show_calibration(reports: Sequence[BacktestReport], headers: Sequence[str]) -> None:
    """Print the chance that flags state beside what was observed."""
    found = [{_tenth(one): one for one in report.calibration} for report in reports]
    rows = table("chance stated", *(f"entered: {header}" for header in headers), numbers={*headers})
    for tenth in sorted({tenth for one in found for tenth in one}):
        rows.add_row(f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}", *(_observed(one.get(tenth)) for one in found))
    if rows.row_count:
        console().print(rows)


def _tenth(one: CalibrationFigures) -> int:
    return min(int(one.stated * 10), 9)


def _observed(one: CalibrationFigures | None) -> str:
    return "–" if one is None else f"{one.observed:.2f} of {one.flags:,}, stated {one.stated:.2f}"


def _sections(first: BacktestReport) -> list[tuple[str, Callable[[BacktestReport], ForesightFigures]]]:
    def of_role(role: str) -> Callable[[BacktestReport], ForesightFigures]:
        return lambda report: report.roles[role]

    def of_topics(name: str) -> Callable[[BacktestReport], ForesightFigures]:
        return lambda report: report.topics[name]

    everybody: list[tuple[str, Callable[[BacktestReport], ForesightFigures]]] = [
        ("all roles", lambda report: report.both)
    ]
    return [
        *everybody,
        *((f"{role}s", of_role(role)) for role in first.roles),
        *((name, of_topics(name)) for name in first.topics if first.topics[name].entered),
    ]


def _name(number: int, report: BacktestReport) -> str:
    if not number:
        return "as set"
    return ", ".join(f"{name} {text}" for name, text in report.settings.items())


def _count(median: float | None) -> str:
    return "–" if median is None else f"{median:g}"


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.1f} %"
