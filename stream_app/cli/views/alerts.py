"""What `stream-app alerts` prints: a table for people, JSON for programs; never a URL or a secret of a sink."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.text import Text

from stream_app.alerts.config import AlertmanagerSink, AlertsFile, AppriseSink, Sink
from stream_app.alerts.dry_run import DryRunStep
from stream_app.alerts.sinks.message import DeliveryOutcome, DeliveryResult
from stream_app.terminal.format import moment, plural
from stream_app.terminal.output import console, marked, print_json, table

_SENT = {"send", "digest"}
_ACTIONS = {
    "send": Text("sent", "green"),
    "digest": marked("[green]sent[/] as digest"),
    "cooldown": "held back: cooldown",
    "limit": "waits: hourly limit",
    "quiet": "waits: quiet hours",
    "repeat": "held back: repeat",
    "too old": "held back: too old",
}
_STYLES = {DeliveryResult.DELIVERED: "green", DeliveryResult.RETRY: "yellow", DeliveryResult.REFUSED: "bold red"}
_RESULTS = {
    DeliveryResult.DELIVERED: "took it",
    DeliveryResult.RETRY: "did not take it now",
    DeliveryResult.REFUSED: "refuses it",
}


def show_outcomes(file: AlertsFile, outcomes: Mapping[str, DeliveryOutcome], *, as_json: bool) -> None:
    """The outcome at each sink."""
    if as_json:
        print_json(
            [
                {
                    "sink": name,
                    "kind": _kind(file.sinks[name]),
                    "result": outcome.result.value,
                    "reason": outcome.reason,
                }
                for name, outcome in outcomes.items()
            ]
        )
        return
    rows = table("sink", "kind", "result", "what it said")
    for name, outcome in outcomes.items():
        result = Text(_RESULTS[outcome.result], _STYLES[outcome.result])
        rows.add_row(name, _kind(file.sinks[name]), result, outcome.reason)
    console().print(rows)


def show_steps(steps: Sequence[DryRunStep], *, flags: int, since_ms: int, as_json: bool) -> None:
    """The messages that would have been sent, and the flags that would have been held back."""
    if as_json:
        print_json({"since": since_ms, "flags": flags, "acts": [_as_json(step) for step in steps]})
        return
    rows = table("UTC", "what", "rule", "sinks", "message")
    for step in steps:
        rows.add_row(
            moment(step.at_ms),
            _ACTIONS[step.action],
            step.rule,
            ", ".join(step.sinks),
            step.message.title,
        )
    out = console()
    if steps:
        out.print(rows)
    counts = Counter(step.action for step in steps)
    sent = sum(len(step.sinks) for step in steps if step.action in _SENT)
    held = ", ".join(f"{count:,} {action}" for action, count in counts.items() if action not in _SENT)
    out.print(
        f"{plural(flags, 'flag')} since {moment(since_ms)} UTC: {plural(sent, 'message')} sent; "
        f"held back: {held or 'none'}."
    )


def _kind(sink: Sink) -> str:
    if isinstance(sink, AppriseSink):
        return "apprise"
    return "alertmanager" if isinstance(sink, AlertmanagerSink) else "webhook"


def _as_json(step: DryRunStep) -> dict[str, Any]:
    return {
        "at": step.at_ms,
        "what": step.action,
        "rule": step.rule or None,
        "sinks": list(step.sinks),
        "title": step.message.title,
        "text": step.message.body,
        "flags": [msgspec.to_builtins(flag) for flag in step.message.flags],
    }
