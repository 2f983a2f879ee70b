"""What recorded events turned out to be: why some are rejected, and whether most are older than the window."""

from rich.console import Console

from stream_app.settings import Settings
from stream_app.settings.text import duration_text
from stream_app.sources.found import FoundEvents
from stream_app.terminal.format import plural
from stream_app.terminal.output import marked


def print_found(console: Console, found: FoundEvents, settings: Settings) -> None:
    """Each reason with its number and its first example; a warning where the window is too short for the events."""
    if found.unreadable:
        console.print(
            f"{found.unreadable:,} of them cannot be counted, and will be set aside (`stream-app dead-letters list` "
            "lists them):"
        )
    for kind in found.rejected:
        console.print(
            marked(
                "  [bold]{}[/]  {}, the first is number {}: {}",
                kind.reason,
                plural(kind.records, "event"),
                f"{kind.line:,}",
                kind.message,
            )
        )
        console.print(f"    {kind.example}")
    old = found.older_than(settings.window_s)
    if old * 2 > found.count:
        window = duration_text(settings.window_s)
        console.print(
            marked(
                "[yellow]{} of {} are older than a window of {} that ends with the newest: they leave it at once, or "
                "are late. A longer window holds them: --window.[/]",
                *(f"{old:,}", f"{found.count:,}", window),
            )
        )
