"""The consoles that commands print to, and the look that their tables share.

A text given to them is shown as it is, in readable characters: it holds no markup. What has colours is made by
`marked`, from a template in the source; a test looks for others.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from stream_app.core.readable import MAX_TEXT, escaped_json, readable, readable_lines

PLAIN_WIDTH = 110
"""Columns where the output is not a terminal."""


class PlainConsole(Console):
    """Prints strings as they are, without what a terminal would obey."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print them; colours have only those that are Text."""
        super().print(*(Text(readable_lines(item)) if isinstance(item, str) else item for item in objects), **options)


class PlainTable(Table):
    """A table whose cells show strings as they are, each in one line."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add it; colours and lines have only those cells that are Text."""
        super().add_row(*(readable(cell, MAX_TEXT) if isinstance(cell, str) else cell for cell in cells), **options)


def console(*, stderr: bool = False) -> PlainConsole:
    """A console for stdout, or stderr: colours on a terminal only, plain lines of a fixed width elsewhere."""
    file = sys.stderr if stderr else sys.stdout
    width = None if file.isatty() else PLAIN_WIDTH
    return PlainConsole(file=file, highlight=False, markup=False, emoji=False, width=width)


def marked(template: str, *values: object) -> Text:
    """The template with its markup, and the values in it as they are."""
    shown = (escape(readable(str(value), MAX_TEXT)) for value in values)
    return Text.from_markup(template.format(*shown), emoji=False)


def echo(text: str = "", *, err: bool = False, **style: Any) -> None:
    """Print a text in one colour, without what a terminal would obey."""
    click.secho(readable_lines(text), err=err, **style)


def table(*headers: str, numbers: frozenset[str] | set[str] = frozenset()) -> PlainTable:
    """An empty table; the columns in `numbers` are right-aligned."""
    made = PlainTable(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for header in headers:
        made.add_column(header, justify="right" if header in numbers else "left", overflow="fold")
    return made


def print_json(value: Any) -> None:
    """One JSON value, indented."""
    write_json(json.dumps(value, ensure_ascii=False, indent=2))


def write_json(text: str) -> None:
    """JSON in the characters that a terminal shows and stdout can encode: the others as escapes, which mean it too."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        is_encodable = True
    except UnicodeEncodeError:
        is_encodable = False
    sys.stdout.write(escaped_json(text, ascii_only=not is_encodable) + "\n")
    sys.stdout.flush()


@contextmanager
def reading_bar() -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar for long reads, on stderr where that is a terminal; yields a function of (done, total or None)."""
    out = console(stderr=True)
    columns = (TextColumn("[dim]reading[/]"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
