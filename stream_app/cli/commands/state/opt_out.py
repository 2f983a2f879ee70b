"""`stream-app opt-out`."""

import time

import click

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.cli.person_options import print_step, user_argument, wait_option
from stream_app.kafka.clients import quiet_kafka
from stream_app.kafka.topics import require_all
from stream_app.ops.erasure.opting_out import OptOutReport, opt_back_in, opt_out
from stream_app.settings import Settings
from stream_app.terminal.output import print_json

_WAITING = 3


@click.command(
    "opt-out",
    cls=Command,
    examples=(
        "stream-app opt-out ann                 she never counts from now on",
        "stream-app opt-out ann --back          she counts again",
        "stream-app opt-out - < user-id.txt     the id stays out of the shell's history",
    ),
)
@user_argument
@click.option("--back", is_flag=True, help="count the person again, from now on")
@wait_option
@click.option("--json", "as_json", is_flag=True, help="print the outcome as JSON")
@settings_options(*KAFKA_NAMES)
def command(settings: Settings, user: str, back: bool, wait_s: float, as_json: bool) -> None:
    """Have the person with the id USER (- reads it from stdin) never count, until they opt back in.

    They leave ledgers, standings and Redis, and their events are rejected from now on. A keyed hash of the id is kept;
    workers and this command need the same STREAM_APP_PERSON_KEY. Flags and dead letters that are on Kafka stay until
    their retention, and are shown nowhere: `stream-app erase` removes them. Exit status 3: workers have not carried it
    out yet, and will before they count again.
    """
    with quiet_kafka():
        require_all(settings)
        if back:
            report = opt_back_in(settings, user, wait_s=wait_s, on_step=print_step)
        else:
            now_ms = time.time_ns() // 1_000_000
            report = opt_out(settings, user, wait_s=wait_s, now_ms=now_ms, on_step=print_step)
    if as_json:
        print_json({"out": report.is_out, "changed": report.has_changed, "waiting_partitions": report.waiting})
    else:
        click.echo(_outcome(report))
    if report.waiting:
        raise SystemExit(_WAITING)


def _outcome(report: OptOutReport) -> str:
    state = "does not count" if report.is_out else "counts"
    if not report.has_changed:
        return f"Nothing was changed: this person {state} already."
    if report.waiting:
        places = ", ".join(map(str, report.waiting))
        return (
            f"Recorded: this person {state} once the owners of partitions {places} have read it. Is a worker running?"
        )
    return f"Done: this person {state} from now on."
