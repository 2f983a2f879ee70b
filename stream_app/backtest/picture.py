"""The picture of a backtest as SVG: how often warnings were right, how early they came, and the flags of each day."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from stream_app.backtest.figures import BacktestReport, ForesightFigures
from stream_app.backtest.run import BacktestResult
from stream_app.core.flags.outcomes import DAY_MS, FORESIGHT_MS
from stream_app.core.messages import FlagType

_WIDTH, _HEIGHT, _EDGE = 960, 700, 40
_MIDDLE = _WIDTH // 2
_HOUR_MS = 3_600_000
_HOURS = FORESIGHT_MS // _HOUR_MS
_MOST_DATES = 12
_MOST_DAYS = 400
"""Of a longer stream several days share a bar."""

_STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fdfdfc; } text { fill: #17181c; } .note { fill: #5b5e68; }
.title { font-size: 20px; font-weight: 600; } .head { font-size: 15px; font-weight: 600; } .line { stroke: #d5d5d2; }
.mark { stroke: #17181c; stroke-dasharray: 2 3; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.precision, .entered { fill: #3f4fd0; } .recall { fill: #9aa5f0; } .emerging { fill: #e07b1a; } .lead { fill: #3f4fd0; }
.fading { fill: #b9bcc9; } .left { fill: #7b7f8c; } .track { fill: #eeeeeb; }
@media (prefers-color-scheme: dark) { svg { background: #0e0f12; } text { fill: #eeeff2; } .note { fill: #a3a6b1; }
.line { stroke: #33363f; } .mark { stroke: #eeeff2; } .track { fill: #1d2027; } .recall { fill: #4a56b8; }
.precision, .entered, .lead { fill: #8c9aff; } .left { fill: #6d707a; } .fading { fill: #454954; } }
"""


def picture_of(result: BacktestResult, report: BacktestReport) -> str:
    """Draw what a run found."""
    warm = [flag for flag in result.flags if not flag.warming_up]
    head = f"{report.both.emerging:,} emerging flags, {report.both.entered:,} entries"
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="Backtest: {head}">',
        f"<style>{_STYLE}</style>",
        _text(_EDGE, 48, f"Backtest: {head}", "title"),
        _text(
            _EDGE, 72, f"{report.applied:,} events; without the {report.warming_up:,} flags of the first window", "note"
        ),
        *_rights(report),
        *_leads([entry.lead_ms for entry in result.both.outcomes.entries if entry.lead_ms is not None], report),
        *_days([(flag.type, flag.event_time) for flag in warm]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rights(report: BacktestReport) -> Iterator[str]:
    """Precision and recall, of all roles together and of each."""
    left, width = _EDGE + 90, _MIDDLE - _EDGE - 190
    yield _text(_EDGE, 116, "How often they were right", "head")
    yield from _legend(_EDGE, 138, [("precision", "warned and entered"), ("recall", "entered and warned")])
    rows: list[tuple[str, ForesightFigures]] = [("all roles", report.both)]
    rows += [(f"{role}s", found) for role, found in report.roles.items()]
    for row, (name, found) in enumerate(rows):
        y = 164 + row * 56
        yield _text(_EDGE, y + 21, name)
        for place, (kind, part) in enumerate((("precision", found.precision), ("recall", found.recall))):
            at = y + place * 18
            yield _rect(left, at, width, 14, "track")
            yield _rect(left, at, width * (part or 0.0), 14, kind)
            yield _text(left + width + 8, at + 12, "–" if part is None else f"{100 * part:.0f} %")


def _leads(leads_ms: Sequence[int], report: BacktestReport) -> Iterator[str]:
    """How long before an entry the first warning came, hour by hour."""
    left, floor, height = _MIDDLE + 30, 316, 140
    step = (_WIDTH - _EDGE - left) / _HOURS
    counts = Counter(min(ms // _HOUR_MS, _HOURS - 1) for ms in leads_ms)
    most = max(counts.values(), default=1)
    foreseen = f"{len(leads_ms):,} of {report.both.entered:,} entries"
    yield _text(left, 116, "How early the first warning came", "head")
    yield _text(left, 138, f"{foreseen}, hours before the entry", "note")
    for hour in range(_HOURS):
        high = counts[hour] / most * height
        yield _rect(
            left + hour * step, floor - high, step - 3, high, "lead", f"{hour} to {hour + 1} h: {counts[hour]:,}"
        )
        yield _text(left + hour * step, floor + 18, str(hour), "note mid")
    yield _text(left + _HOURS * step, floor + 18, f"{_HOURS} h", "note mid")
    yield _line(left, floor, _WIDTH - _EDGE, floor, "line")
    if leads_ms:
        middle = median(leads_ms) / _HOUR_MS
        at = left + middle * step
        yield _line(at, floor - height - 6, at, floor, "mark")
        yield _text(at + 6, floor - height + 6, f"median {middle:.1f} h", "head")


def _days(flags: Sequence[tuple[FlagType, int]]) -> Iterator[str]:
    """The flags of each day, by type."""
    floor, height = 640, 190
    yield _text(_EDGE, 390, "Flags by day", "head")
    yield from _legend(_EDGE, 412, [(str(kind), str(kind)) for kind in FlagType])
    yield _line(_EDGE, floor, _WIDTH - _EDGE, floor, "line")
    if not flags:
        yield _text(_EDGE, floor - 12, "There was none.", "note")
        return
    first, last = (end // DAY_MS for end in (min(ms for _, ms in flags), max(ms for _, ms in flags)))
    size = -(-(last - first + 1) // _MOST_DAYS)
    bars = (last - first) // size + 1
    counts = Counter(((ms // DAY_MS - first) // size, kind) for kind, ms in flags)
    most = max(sum(counts[bar, kind] for kind in FlagType) for bar in range(bars))
    step = (_WIDTH - 2 * _EDGE) / bars
    yield _text(_WIDTH - _EDGE, floor - height - 8, f"highest {most:,}", "note end")
    for bar in range(bars):
        day, y = dt.date(1970, 1, 1) + dt.timedelta(days=first + bar * size), float(floor)
        for kind in FlagType:
            high = counts[bar, kind] / most * height
            y -= high
            x, width = _EDGE + bar * step, max(step * 0.8, 0.5)
            yield _rect(x, y, width, high, str(kind), f"{day}: {counts[bar, kind]:,} {kind}")
        if bar % -(-bars // _MOST_DATES) == 0:
            yield _text(_EDGE + bar * step, floor + 18, f"{day:%d %b}" if bars * size < 300 else f"{day:%b %Y}", "note")


def _legend(x: float, y: float, names: Sequence[tuple[str, str]]) -> Iterator[str]:
    for kind, words in names:
        yield _rect(x, y - 10, 10, 10, kind)
        yield _text(x + 16, y, words, "note")
        x += 40 + 7 * len(words)


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}>{f"<title>{title}</title>" if title else ""}</rect>'


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{words}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
