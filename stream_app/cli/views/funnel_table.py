"""What `stream-app funnel` prints for people: the funnel of one scope, cohorts, who recruits, and who is amplified."""

from stream_app.backtest.funnel.funnel_report import FunnelReport, ScopeReport
from stream_app.core.queries.scope_funnel import CohortFigures, FunnelFigures
from stream_app.terminal.format import moment, plural, span
from stream_app.terminal.output import console, table

CAVEATS = (
    "Credit goes to the person named, not to the cause: that somebody would have come anyway cannot be seen.",
    "A share without via_id credits the author, also with what a sharer earned.",
    "New means new to this data: who came before its first event counts as new.",
)
_OTHERS = 5
"""Other topics that are named."""


def show_funnel(report: FunnelReport, topic: str, population: str) -> None:
    """Print the funnel of a scope; its largest topics where it is not there."""
    out = console()
    counts = f"{report.applied:,} counted, {report.duplicate:,} duplicate, {report.rejected:,} rejected"
    out.print(f"{plural(report.read, 'event')} read: {counts}.")
    if report.complaint:
        out.print(f"The first that was rejected: {report.complaint}.")
    if report.first_ms is None or report.newest_ms is None:
        return
    out.print(f"From {moment(report.first_ms)} to {moment(report.newest_ms)} UTC.")
    found = next((one for one in report.scopes if (one.topic, one.population) == (topic, population)), None)
    if found is None:
        others = ", ".join(f"{one.topic} ({one.population})" for one in report.scopes[:_OTHERS])
        out.print(f"Nobody was in topic {topic} of population {population}. Most were in {others}.")
        return
    _show_stages(report, found)
    _show_cohorts(report, found.funnel.cohorts)
    _show_people(found)
    for caveat in CAVEATS:
        out.print(caveat)


def _show_stages(report: FunnelReport, found: ScopeReport) -> None:
    of, rows = found.funnel, table(f"topic {found.topic}, population {found.population}", "", numbers={""})
    for name, text in (
        ("reached, impressions", f"{found.reached:,}"),
        ("participants", f"{of.participants:,}"),
        ("  advocates: others shared theirs", f"{of.advocates:,}"),
        ("  recruiters: named by a recruited entry", f"{of.recruiters:,}"),
        ("    of whom make 80 % of the recruits", f"{found.recruiters_80:,}"),
        (f"entries, after {span(report.gap_s)} or more without", f"{of.entries:,}"),
        ("  new", f"{of.new:,}"),
        ("  re-entered", f"{of.re_entered:,}"),
        ("K: recruited entries for each participant", _number(of.k)),
        ("amplified: impressions of others' shares", f"{found.amplified:,}"),
    ):
        rows.add_row(name, text)
    console().print(rows)
    console().print(_identity(of))


def _identity(of: FunnelFigures) -> str:
    kinds = f"{of.recruited:,} recruited + {of.self_started:,} self-started + {of.unknown:,} unknown"
    return f"{plural(of.entries, 'entry', 'entries')} = {of.new:,} new + {of.re_entered:,} re-entered = {kinds}."


def _show_cohorts(report: FunnelReport, cohorts: list[CohortFigures]) -> None:
    horizon = f"recruits within {span(report.horizon_s)}"
    rows = table("first came on", "people", horizon, "R", numbers={"people", horizon, "R"})
    for one in cohorts:
        rows.add_row(one.day, f"{one.people:,}", f"{one.recruits:,}", "not yet" if one.r is None else _number(one.r))
    if rows.row_count:
        console().print(rows)


def _show_people(found: ScopeReport) -> None:
    recruiters = table("top recruiters", "recruits", numbers={"recruits"})
    for recruiter in found.top_recruiters:
        recruiters.add_row(recruiter.user_id, f"{recruiter.recruits:,}")
    numbers = ("amplified", "shares", "sharers", "as if from")
    amplified = table("most amplified", *numbers, numbers={*numbers})
    for one in found.most_amplified:
        spread = f"{one.effective_sharers:,.1f}"
        amplified.add_row(one.user_id, f"{one.amplified:,}", f"{one.shares:,}", f"{one.sharers:,}", spread)
    for rows in (recruiters, amplified):
        if rows.row_count:
            console().print(rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
