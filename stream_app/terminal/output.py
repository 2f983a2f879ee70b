"""The consoles that commands print to, and the look that their tables share."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_WIDTH = 110
"""Columns where the output is not a terminal."""


def console(*, stderr: bool = False) -> Console:
    """A console for stdout, or stderr: colours on a terminal only, plain lines of a fixed width elsewhere."""
    file = sys.stderr if stderr else sys.stdout
    return Console(file=file, highlight=False, width=None if file.isatty() else PLAIN_WIDTH)


def table(*headers: str, numbers: frozenset[str] | set[str] = frozenset()) -> Table:
    """An empty table; the columns in `numbers` are right-aligned."""
    made = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for header in headers:
        made.add_column(header, justify="right" if header in numbers else "left", overflow="fold")
    return made


def print_json(value: Any) -> None:
    """One JSON value, indented."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


@contextmanager
def reading_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar for long reads, on stderr where that is a terminal; yields a function of (done, total)."""
    out = console(stderr=True)
    columns = (TextColumn("[dim]reading[/]"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
