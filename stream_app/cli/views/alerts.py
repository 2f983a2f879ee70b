"""What `stream-app alerts` prints: a table for people, JSON for programs; never a URL or a secret of a sink."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.markup import escape

from stream_app.alerts.config import AlertmanagerSink, AlertsFile, AppriseSink, Sink
from stream_app.alerts.dry_run import Act
from stream_app.alerts.sinks.message import DeliveryResult, Outcome
from stream_app.terminal.format import moment, plural
from stream_app.terminal.output import console, print_json, table

_SENT = {"send", "digest"}
_WHY = {
    "send": "[green]sent[/]",
    "digest": "[green]sent[/] as digest",
    "cooldown": "held back: cooldown",
    "limit": "waits: hourly limit",
    "quiet": "waits: quiet hours",
    "repeat": "held back: repeat",
    "too old": "held back: too old",
}
_STYLES = {DeliveryResult.DELIVERED: "green", DeliveryResult.RETRY: "yellow", DeliveryResult.REFUSED: "bold red"}
_MEANS = {
    DeliveryResult.DELIVERED: "took it",
    DeliveryResult.RETRY: "did not take it now",
    DeliveryResult.REFUSED: "refuses it",
}


def show_outcomes(file: AlertsFile, outcomes: Mapping[str, Outcome], *, as_json: bool) -> None:
    """What came back from each sink."""
    if as_json:
        print_json(
            [
                {
                    "sink": name,
                    "kind": _kind(file.sinks[name]),
                    "result": told.result.value,
                    "reason": told.reason,
                }
                for name, told in outcomes.items()
            ]
        )
        return
    rows = table("sink", "kind", "result", "what it said")
    for name, told in outcomes.items():
        result = f"[{_STYLES[told.result]}]{_MEANS[told.result]}[/]"
        rows.add_row(name, _kind(file.sinks[name]), result, escape(told.reason))
    console().print(rows)


def show_acts(acts: Sequence[Act], *, flags: int, since_ms: int, as_json: bool) -> None:
    """What would have been sent and held back."""
    if as_json:
        print_json({"since": since_ms, "flags": flags, "acts": [_as_json(act) for act in acts]})
        return
    rows = table("UTC", "what", "rule", "sinks", "message")
    for act in acts:
        rows.add_row(
            moment(act.at_ms), _WHY[act.what], escape(act.rule), ", ".join(act.sinks), escape(act.message.title)
        )
    out = console()
    if acts:
        out.print(rows)
    counts = Counter(act.what for act in acts)
    sent = sum(len(act.sinks) for act in acts if act.what in _SENT)
    held = ", ".join(f"{count:,} {what}" for what, count in counts.items() if what not in _SENT)
    out.print(
        f"{plural(flags, 'flag')} since {moment(since_ms)} UTC: {plural(sent, 'message')} sent; "
        f"held back: {held or 'none'}."
    )


def _kind(sink: Sink) -> str:
    if isinstance(sink, AppriseSink):
        return "apprise"
    return "alertmanager" if isinstance(sink, AlertmanagerSink) else "webhook"


def _as_json(act: Act) -> dict[str, Any]:
    return {
        "at": act.at_ms,
        "what": act.what,
        "rule": act.rule or None,
        "sinks": list(act.sinks),
        "title": act.message.title,
        "text": act.message.body,
        "flags": [msgspec.to_builtins(flag) for flag in act.message.flags],
    }
