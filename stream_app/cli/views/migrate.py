"""What `stream-app migrate` prints: the plan, the comparison, and how to switch."""

from typing import Any

from stream_app.ops.migrate.migration import MigrationReport
from stream_app.ops.migrate.migration_plan import MigrationPlan
from stream_app.ops.migrate.target import changed_settings
from stream_app.terminal.format import plural
from stream_app.terminal.output import console, marked, table

_MB = 1_000_000


def show_plan(plan: MigrationPlan) -> None:
    """Print what is copied where, and what it takes."""
    shown = table("topic", "now", "new topic", "then", numbers={"now", "then"})
    for old, new in zip(plan.before.source_topics, plan.after.source_topics, strict=True):
        shown.add_row(old, str(plan.before.partitions), new, str(plan.after.partitions))
    out = console()
    out.print(shown)
    out.print(
        f"{plural(plan.records, 'record')}, at most {plan.bytes_needed / _MB:,.0f} MB on the brokers' disks before "
        f"compression, counted by the group {plan.after.app_id}. Kafka: {plan.before.brokers}."
    )
    if plan.workers:
        out.print(
            f"{plural(plan.workers, 'worker')} of {plan.before.app_id} is counting: this run prepares the switch only."
        )


def show_report(plan: MigrationPlan, report: MigrationReport) -> None:
    """Print what was done, what was compared, and what to do next."""
    out, copy, compared = console(), report.copy, report.comparison
    out.print(
        f"{plural(copy.copied, 'record')} copied, {copy.there:,} were there, {copy.set_aside:,} were set aside before."
    )
    shown = table("", *compared.old, numbers=set(compared.old))
    for name, counts in (("before", compared.old), ("copy", compared.new)):
        shown.add_row(name, *(f"{count:,}" for count in counts.values()))
    out.print(shown)
    for difference in compared.differences:
        out.print(marked("[red]Not equal:[/] {}.", difference))
    if compared.differences:
        out.print("Nothing is switched. Run it again; where that does not help, see docs/operate.md.")
        return
    if not report.is_done:
        out.print(
            f"Prepared, not switched: {compared.unsettled}. Stop the producers, wait until there is no lag, stop all "
            "workers, then run this again."
        )
        return
    out.print(
        f"{plural(compared.cuts, 'cut')} equal, {plural(report.standings or 0, 'standing')} copied. To switch, set"
    )
    for variable, value in changed_settings(plan.before, plan.after).items():
        out.print(f"  {variable}={value}", soft_wrap=True)
    out.print("for workers, producers and consumers, then start the workers, then the producers.")
    out.print("The old topics stay until you delete them: see docs/operate.md.")


def as_json_value(plan: MigrationPlan, report: MigrationReport | None) -> dict[str, Any]:
    """The same for programs."""
    value: dict[str, Any] = {
        "partitions": {"before": plan.before.partitions, "after": plan.after.partitions},
        "records": plan.records,
        "bytes_needed": plan.bytes_needed,
        "workers": plan.workers,
        "settings": changed_settings(plan.before, plan.after),
        "done": False,
    }
    if report is None:
        return {"dry_run": True, **value}
    compared = report.comparison
    return {
        "dry_run": False,
        **value,
        "done": report.is_done,
        "created": report.created,
        "copied": report.copy.copied,
        "there_before": report.copy.there,
        "set_aside": report.copy.set_aside,
        "before": compared.old,
        "copy": compared.new,
        "cuts_compared": compared.cuts,
        "differences": compared.differences,
        "not_settled": compared.unsettled or None,
        "standings": report.standings,
    }
