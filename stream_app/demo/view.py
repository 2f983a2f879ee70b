"""The live view of a demo: progress, top users and flags on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream_app.core.messages import Flag, FlagType, Role
from stream_app.demo.picture import Picture, Place
from stream_app.terminal.format import hours, moment, plural, span, time_of_day

COLOURS = {
    FlagType.EMERGING: "bold magenta",
    FlagType.ENTERED: "green",
    FlagType.FADING: "yellow",
    FlagType.LEFT: "red",
}
_REFRESH_PER_S = 4
_LINE_EVERY_S = 5.0
_RISING_AT_ONCE = 5
_WIDE = 112
_TALL = 36
_UNITS = {Role.CONNECTOR: "impressions", Role.MAVEN: "posts"}


class LiveView:
    """Draws a picture over the last one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=_REFRESH_PER_S, transient=True, redirect_stderr=False)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the screen of the last picture."""
        self._live.stop()
        _say_end(self._console, kind)

    def show(self, picture: Picture) -> None:
        """Draw it."""
        self._live.update(drawn(picture, self._console.width, self._console.height))


class PlainView:
    """Writes a line now and then, and one for everybody who takes off."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at_s = time.monotonic()
        self._news = 0
        self._rising = 0

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to clear."""
        _say_end(self._console, kind)

    def show(self, picture: Picture) -> None:
        """Write what is new."""
        for line in picture.news[self._news :]:
            self._console.print(escape(line))
        self._news = len(picture.news)
        rising = picture.emerging[self._rising :]
        self._rising = len(picture.emerging)
        for flag in rising[:_RISING_AT_ONCE]:
            self._console.print(Text(flag_line(flag)), soft_wrap=True)
        if len(rising) > _RISING_AT_ONCE:
            self._console.print(f"… and {len(rising) - _RISING_AT_ONCE:,} more are emerging")
        if time.monotonic() - self._told_at_s >= _LINE_EVERY_S:
            self._told_at_s = time.monotonic()
            self._console.print(Text(_progress_line(picture)), soft_wrap=True)


def _say_end(console: Console, kind: type[BaseException] | None) -> None:
    if kind is not None and not issubclass(kind, Exception):
        console.print("[dim]Ending the workers and the servers …[/]")


def flag_line(flag: Flag) -> str:
    """A flag in one line of text."""
    who = f"{flag.type:<8}  {flag.role:<9}  {flag.topic:<14}  {flag.user_id:<16}"
    return f"{moment(flag.event_time)}  {who}  {_says(flag)}"


def _progress_line(picture: Picture) -> str:
    size = f" of {picture.size:,}" if picture.size is not None else ""
    flags = sum(picture.flag_counts.values())
    return (
        f"{span(picture.seconds):>7}  {picture.stage}: produced {picture.produced:,}{size}, "
        f"counted {picture.counted.read:,} ({picture.counted_per_s:,.0f}/s), "
        f"event time {moment(picture.counted.watermark)}, {plural(flags, 'flag')}"
    )


def drawn(picture: Picture, width: int, height: int) -> RenderableType:
    """A picture for a terminal of that size."""
    parts: list[RenderableType] = [_progress(picture, width), _tally(picture), Text()]
    if picture.tops:
        places = list(picture.tops) if width >= _WIDE else list(picture.tops)[:2]
        parts += [_tops(picture, places, rows=5 if height >= _TALL else 3), Text()]
    if picture.flags:
        parts += _flags(picture, rows=max(2, min(8, (height - 18) * 2 // 3)))
    parts.append(_workers(picture))
    return Padding(Group(*parts), (0, 1))


def _progress(picture: Picture, width: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10)
    grid.add_column(width=max(12, min(44, width - 66)))
    grid.add_column(justify="right", width=10)
    grid.add_column(justify="right", width=9)
    grid.add_column(no_wrap=True)
    total = picture.size or None
    for name, count, rate, last in (
        ("produced", picture.produced, picture.produced_per_s, f"of {total:,}" if total else picture.stage),
        ("counted", picture.counted.read, picture.counted_per_s, _last(picture)),
    ):
        bar = ProgressBar(
            total=total,
            completed=count,
            pulse=total is None,
            style="grey23",
            complete_style="cyan",
            finished_style="green",
        )
        grid.add_row(name, bar, f"[bold]{count:,}[/]", f"[dim]{rate:,.0f}/s[/]", f"[dim]{last}[/]")
    return grid


def _last(picture: Picture) -> str:
    if picture.size is not None and picture.counted.read >= picture.size:
        return picture.stage
    eta = f", {span(picture.eta_s)} to go" if picture.eta_s is not None and picture.counted.read else ""
    return f"lag {picture.lag:,}{eta}"


def _tally(picture: Picture) -> Text:
    counted = picture.counted
    line = Text("event time  ")
    line.append(moment(counted.watermark), "bold")
    aside = (("duplicate", counted.duplicate), ("late", counted.late), ("rejected", counted.rejected))
    line.append("   " + ", ".join(f"{count:,} {name}" for name, count in aside), "dim")
    return line


def _tops(picture: Picture, places: list[Place], rows: int) -> Table:
    grid = Table.grid(padding=(0, 4))
    for _ in places:
        grid.add_column()
    grid.add_row(*(_top(picture, place, rows) for place in places))
    return grid


def _top(picture: Picture, place: Place, rows: int) -> RenderableType:
    topic, role = place
    users, cut = picture.tops[place], picture.cuts.get(place)
    title = Text(f"{role}s · {topic}", "bold", no_wrap=True, overflow="ellipsis")
    made = Text(f"{cut.k:,} of {cut.users:,} make {cut.share * 100:g} %" if cut else "", "dim")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", width=2)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=18)
    table.add_column(justify="right")
    for rank in range(rows):
        user, value = users[rank] if rank < len(users) else ("", None)
        table.add_row(str(rank + 1), escape(user), f"{value:,}" if value is not None else "")
    return Group(title, made, table)


def _flags(picture: Picture, rows: int) -> list[RenderableType]:
    counts = Text("flags  ", "bold")
    for name in FlagType:
        counts.append(f"{picture.flag_counts.get(name, 0):,} {name}   ", COLOURS[name])
    parts: list[RenderableType] = [counts]
    if picture.emerging:
        parts += [_flag_rows(list(picture.emerging)[-(rows // 2) :]), Text("latest", "dim")]
    parts += [_flag_rows(list(picture.flags)[-rows:]), Text()]
    return parts


def _flag_rows(flags: list[Flag]) -> RenderableType:
    return Group(*map(_flag_row, flags))


def _flag_row(flag: Flag) -> Text:
    row = Text(f" {time_of_day(flag.event_time)}  ", "dim", no_wrap=True, overflow="ellipsis")
    row.append(f"{flag.type:<9}", COLOURS[flag.type])
    row.append(f"{flag.role:<10} {_fitted(flag.topic, 14)} ", "not dim")
    row.append(f"{_fitted(flag.user_id, 14)} ", "bold" if flag.type is FlagType.EMERGING else "not dim")
    row.append(_says(flag))
    return row


def _fitted(text: str, width: int) -> str:
    """Text of exactly that width."""
    return f"{text if len(text) <= width else text[: width - 1] + '…':<{width}}"


def _says(flag: Flag) -> str:
    """The numbers behind a flag."""
    if flag.type is FlagType.EMERGING:
        eta = f", there in {hours(flag.eta_s)}" if flag.eta_s is not None else ""
        return f"{flag.value:,} of θ {flag.threshold:,}{eta}, z {flag.z:.1f}"
    return f"{flag.value:,} {_UNITS[flag.role]}, θ {flag.threshold:,}, rank {flag.rank:,}"


def _workers(picture: Picture) -> Text:
    line = Text("workers  ", "bold")
    for worker in picture.workers:
        line.append("● ", "green" if picture.is_counting else "yellow")
        line.append(f"{worker.number} ")
        address = f", 127.0.0.1:{worker.http_port}/metrics" if worker.http_port else ""
        deaths = f", started again {worker.deaths}×" if worker.deaths else ""
        line.append(f"(process {worker.pid}{address}{deaths})  ", "dim")
    if not picture.is_counting:
        line.append("joining …", "yellow")
    for news in picture.news[-2:]:
        line.append(f"\n{news}", "red")
    return line
