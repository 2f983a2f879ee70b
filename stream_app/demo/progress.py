"""The progress of a demo: a bar on a terminal, a line every few seconds elsewhere, and the users who emerge."""

import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from stream_app.core.messages import Flag, FlagType
from stream_app.core.state.watermark import Source
from stream_app.terminal.flag_line import FLAG_STYLES, flag_line
from stream_app.terminal.format import moment, plural, span, time_of_day
from stream_app.terminal.output import marked

_LINE_EVERY_S = 5.0
_EMERGING_AT_ONCE = 5
_RATE_OVER_S = 5.0
_ONE_LINE = Column(no_wrap=True)


class DemoProgress(NamedTuple):
    """How far a demo has come."""

    stage: str
    seconds: float
    """Wall time since the start."""
    size: int | None
    """Events of the stream; None until they are generated or read."""
    produced: int
    counted: Source
    flags: Sequence[Flag]
    """All so far, in order of arrival."""
    news: Sequence[str]
    """All restarts of workers so far."""


class Rate:
    """How fast a counter has grown over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_s(self, count: int) -> float:
        """Add the present count and return the growth per second of wall time."""
        now = time.monotonic()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / (now - since) if now > since else 0.0


class ProgressView:
    """Shows the progress for the length of a block."""

    def __init__(self, console: Console, population: str | None = None) -> None:
        """`population`: the one of which those who emerge are shown; None: of all."""
        self._console = console
        self._population = population
        self._rate = Rate()
        self._flags_shown = self._news_shown = 0
        self._line_at_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", table_column=_ONE_LINE),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}", table_column=_ONE_LINE),
            console=console,
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not console.is_terminal or console.is_dumb_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, text="")

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Erase the bar; after Ctrl-C or a signal say what takes a few seconds more."""
        self._bar.stop()
        if kind is not None and not issubclass(kind, Exception):
            self._console.print(marked("[dim]Ending the workers and the servers …[/]"))

    def show(self, progress: DemoProgress) -> None:
        """Print what is new."""
        rate = self._rate.per_s(progress.counted.read)
        for news in progress.news[self._news_shown :]:
            self._console.print(marked("[red]{}[/]", news))
        self._news_shown = len(progress.news)
        self._show_emerging(progress.flags[self._flags_shown :])
        self._flags_shown = len(progress.flags)
        if not self._bar.disable:
            self._bar.update(
                self._task,
                description=progress.stage,
                total=progress.size,
                completed=progress.counted.read,
                text=_beside_the_bar(progress, rate),
            )
        elif time.monotonic() - self._line_at_s >= _LINE_EVERY_S:
            self._line_at_s = time.monotonic()
            self._console.print(Text(_line(progress, rate)), soft_wrap=True)

    def _show_emerging(self, flags: Sequence[Flag]) -> None:
        shown = [flag for flag in flags if self._population in {None, flag.population}]
        emerging = [flag for flag in shown if flag.type is FlagType.EMERGING]
        for flag in emerging[:_EMERGING_AT_ONCE]:
            line = Text(flag_line(flag, moment if self._bar.disable else time_of_day))
            start = line.plain.index(flag.type)
            line.stylize(FLAG_STYLES[flag.type], start, start + len(flag.type))
            self._print_line(line)
        if more := emerging[_EMERGING_AT_ONCE:]:
            self._print_line(Text(f"… and {len(more):,} more are emerging"))

    def _print_line(self, line: Text) -> None:
        """On a terminal cut off at its edge; whole elsewhere."""
        if self._bar.disable:
            self._console.print(line, soft_wrap=True)
        else:
            self._console.print(line, no_wrap=True, overflow="ellipsis")


def _beside_the_bar(progress: DemoProgress, rate: float) -> str:
    if progress.size is None:
        return ""
    return f"{progress.counted.read:,} of {progress.size:,}  {rate:,.0f}/s  {moment(progress.counted.watermark)}"


def _line(progress: DemoProgress, rate: float) -> str:
    when = f"{span(progress.seconds):>7}  {progress.stage}"
    if progress.size is None:
        return when
    return (
        f"{when}: produced {progress.produced:,} of {progress.size:,}, counted {progress.counted.read:,} "
        f"({rate:,.0f}/s), event time {moment(progress.counted.watermark)}, {plural(len(progress.flags), 'flag')}"
    )
