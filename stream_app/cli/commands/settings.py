"""`stream-app settings`."""

import click
import msgspec

from stream_app.cli.options import SECTION_OF, Command, flag_of, settings_options
from stream_app.settings import FILE_SUFFIX, NAMES, Settings, documentation, environment_name
from stream_app.settings.text import setting_text
from stream_app.terminal.output import console, marked, print_json, table


@click.command("settings", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@settings_options()
def command(settings: Settings, as_json: bool) -> None:
    """List every setting with its environment variable, flag, current value, default and meaning.

    Durations take text such as 90s, 15m, 1h30m or 24h. Values that differ from the default are highlighted. Secrets are
    never shown and have no flag: they come from their variable, or from the file that STREAM_APP_…_FILE names.
    """
    rows = [_described(name, settings) for name in NAMES]
    if as_json:
        print_json(rows)
        return
    shown = table("variable and flag", "value", "default", "meaning")
    shown.columns[0].no_wrap = True
    shown.columns[3].min_width = 20
    section = ""
    for row in rows:
        if section != SECTION_OF[row["name"]]:
            section = SECTION_OF[row["name"]]
            shown.add_row(marked("[bold]{}[/]", section), end_section=False)
        changed = row["value"] != row["default"]
        other = row["flag"] or f"or in a file: …{FILE_SUFFIX}"
        names = marked("{}\n[dim]{}[/]", row["variable"], other)
        value = marked("[bold yellow]{}[/]" if changed else "{}", row["value"])
        shown.add_row(names, value, marked("[dim]{}[/]", row["default"]), row["meaning"])
    console().print(shown)


def _described(name: str, settings: Settings) -> dict[str, str]:
    return {
        "name": name,
        "variable": environment_name(name),
        "flag": flag_of(name),
        "value": setting_text(name, msgspec.structs.asdict(settings)[name]),
        "default": setting_text(name, getattr(Settings(), name)),
        "meaning": documentation()[name],
    }
