"""`stream-app person`."""

import click

from stream_app.cli.options import KAFKA_NAMES, Command, settings_options
from stream_app.cli.person_options import user_argument
from stream_app.kafka.clients import open_consumer, quiet_kafka
from stream_app.kafka.topics import require_all
from stream_app.ops.erasure.person_export import export, record_look
from stream_app.settings import Settings
from stream_app.terminal.output import console, print_json, table


@click.command(
    "person",
    cls=Command,
    examples=(
        "stream-app person ann                              how much is held of her, and where",
        "stream-app person ann --export > ann.json          all of it",
        'stream-app person - --export --reason "case 17" < user-id.txt',
    ),
)
@user_argument
@click.option("--export", "everything", is_flag=True, help="print all of it, as JSON")
@click.option("--reason", default="", metavar="TEXT", help="why: for the record of this look")
@click.option("--json", "as_json", is_flag=True, help="print how much is held as JSON")
@settings_options(*KAFKA_NAMES)
def command(settings: Settings, user: str, everything: bool, reason: str, as_json: bool) -> None:
    """Print what the tracker holds of the person with the id USER (- reads it from stdin).

    That is: counts by topic and pane, standings, flags, their events on the inputs, dead letters and late events,
    alerts, and, where looks are audited, who looked at them. This command is such a look, too. Other people are left
    out, but for those whom the person's own events name.
    """
    with quiet_kafka():
        require_all(settings)
        record_look(settings, user, reason)
        with open_consumer(settings) as reader:
            found = export(settings, reader, user)
    if everything:
        print_json(found)
        return
    sizes = {name: len(held) for name, held in found.items() if isinstance(held, list)}
    if as_json:
        print_json({"state": found["state"], **sizes})
        return
    rows = table("what", "records", numbers={"records"})
    for name, size in sizes.items():
        rows.add_row(name.replace("_", " "), f"{size:,}")
    console().print(rows)
    click.echo(f"State: {found['state']}. With --export all of it is printed, as JSON.")
