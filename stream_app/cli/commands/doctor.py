"""`stream-app doctor`."""

from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from stream_app.cli.options import ALL, Command, settings_options
from stream_app.findings import Finding, Severity
from stream_app.kafka.clients import quiet_kafka
from stream_app.settings import Settings
from stream_app.terminal.format import plural
from stream_app.terminal.output import console, marked, print_json, table

_STYLES = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}


@click.command(
    "doctor",
    cls=Command,
    examples=("stream-app doctor", "stream-app doctor --json | jq '.findings[] | select(.state != \"ok\")'"),
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@settings_options(*ALL)
def command(settings: Settings, as_json: bool) -> None:
    """Check everything the tracker needs, and say what to do.

    Asks Kafka, Redis and a worker on this machine; reads a sample of the newest records, and the alerts file; changes
    nothing. With --production true, a finding that keeps a worker from starting is a problem. The exit status is 1
    where there is a problem, and 0 where there are warnings at most.
    """
    from stream_app.ops.doctor.checks import check_all

    with quiet_kafka(), console(stderr=True).status(Text("checking …", "dim")):
        findings = list(check_all(settings))
    if as_json:
        print_json(_as_json(findings))
    else:
        _print(findings)
    if _count(findings, Severity.PROBLEM):
        raise SystemExit(1)


def _print(findings: Sequence[Finding]) -> None:
    shown = table("", "what", "found, and what to do")
    for finding in findings:
        state = Text(finding.state.value, _STYLES[finding.state])
        found = marked("{}\n[bold]→[/] {}" if finding.advice else "{}", finding.found, finding.advice)
        shown.add_row(state, finding.area, found)
    out = console()
    out.print(shown)
    problems, warnings = (
        plural(_count(findings, Severity.PROBLEM), "problem"),
        plural(_count(findings, Severity.WARNING), "warning"),
    )
    out.print(f"{problems}, {warnings}.")


def _as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "problems": _count(findings, Severity.PROBLEM),
        "warnings": _count(findings, Severity.WARNING),
        "findings": [finding._asdict() for finding in findings],
    }


def _count(findings: Sequence[Finding], state: Severity) -> int:
    return sum(finding.state is state for finding in findings)
