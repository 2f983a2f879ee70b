"""What a demo prints at its end: the cuts, the true ones beside them, and the users foreseen."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from stream_app.core.messages import ALL_TOPICS, ROLES, Cut, FlagType, Role
from stream_app.demo.generator.population import Truth
from stream_app.demo.runner import DemoResult
from stream_app.demo.truth import TOLERANCE_POINTS, Foresight, Rise, foresight, measured
from stream_app.settings.text import duration_text
from stream_app.terminal.flag_line import FLAG_STYLES
from stream_app.terminal.format import hours, interval, moment, plural, rounded, span, time_of_day
from stream_app.terminal.output import PlainTable, marked

_TOPICS_SHOWN = 10
_ROOMY = 92
"""Columns of a terminal from which tables have room between their columns …"""
_WIDE = 120
"""… and for intervals."""


def print_result(console: Console, result: DemoResult) -> None:
    """Print the whole result, for people."""
    console.print(_summary(result))
    console.print()
    if result.company is None:
        _print_cuts(console, result.cuts)
    counts = Counter(flag.type for flag in result.flags)
    line = Text("flags  ", "bold")
    for name in FlagType:
        line.append(f"{counts[name]:,} {name}   ", FLAG_STYLES[name])
    console.print(line)
    if result.counted.rejected and not result.counted.applied:
        has_reasons = result.found is not None and result.found.unreadable > 0
        why = ", for the reasons below." if has_reasons else ": are these events?"
        console.print(marked("[yellow]Not one event could be counted{} The README shows what one looks like.[/]", why))
    if not result.is_settled:
        console.print(
            marked("[yellow]The cuts still changed when the demo stopped waiting: run it again on an idle machine.[/]")
        )
    if result.truth is not None:
        console.print()
        _print_truth(console, result, result.truth)
        print_foresight(console, foresight(result.truth, result.flags))


def _summary(result: DemoResult) -> Text:
    counted, settings = result.counted, result.settings
    rate = counted.read / result.seconds if result.seconds else 0.0
    line = Text(f"{counted.read:,} events", "bold")
    line.append(f" in {span(result.seconds)} ({rate:,.0f}/s): ")
    parts = [f"{counted.applied:,} applied", f"{counted.duplicate:,} duplicate"]
    parts += [f"{counted.late:,} late", f"{counted.rejected:,} rejected"]
    line.append(", ".join(parts) + ".")
    if counted.applied:
        line.append(f"\nThe last {duration_text(settings.window_s)}, up to {moment(counted.watermark + 1)} UTC.", "dim")
    if counted.unknown:
        line.append(f" The audience of {plural(counted.unknown, 'event')} is unknown.", "dim")
    return line


def _print_cuts(console: Console, cuts: Sequence[Cut]) -> None:
    chosen = _largest(cuts)
    if not chosen:
        console.print(marked("[yellow]No events are left in the window, so there are no cuts.[/]"))
        return
    of_population = any(cut.percent_of_population is not None for cut in chosen)
    share, is_wide = f"{chosen[0].share * 100:g} %", console.width >= _WIDE
    table = titled_table(console, f"Who makes {share}", "of the impressions (connectors) and of the posts (mavens)")
    table.add_column("topic", no_wrap=True, overflow="ellipsis", max_width=16 if console.width >= _ROOMY else 13)
    table.add_column("role", no_wrap=True)
    for header in ("users", "k", "% of\nusers", *(["% of\npeople"] if of_population else [])):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("cover-\nage", "θ", "flag-\nged", "emerg-\ning"):
        table.add_column(header, justify="right", no_wrap=True)
    for topic, population, pair in _by_topic(chosen):
        name = topic if population is None else f"{topic} ({population})"
        for place, cut in enumerate(pair):
            people = [_percent(cut.percent_of_population)] if of_population else []
            table.add_row(
                marked("[bold]{}[/]", name) if place == 0 else "",
                cut.role,
                *(
                    f"{cut.users:,}",
                    f"{cut.k:,}",
                    _percent_of_users(cut, is_wide),
                    *people,
                    _percent(cut.coverage * 100),
                ),
                f"{cut.threshold:,}" + is_wide * f" {interval(cut.threshold_low, cut.threshold_high)}".rstrip(),
                *(
                    (Text("diffuse", "dim"), Text("–", "dim"))
                    if cut.diffuse
                    else (f"{cut.flagged:,}", f"{cut.emerging:,}")
                ),
            )
    console.print(table)
    console.print()
    topics = {cut.topic for cut in cuts}
    if len(topics) > _TOPICS_SHOWN + 1:
        console.print(
            Text(f"The {_TOPICS_SHOWN} topics with most users, of {len(topics) - 1:,}; --report has all.", "dim")
        )


def _largest(cuts: Sequence[Cut]) -> list[Cut]:
    """The cuts of all topics together, and of those with the most users."""
    users: dict[str, int] = defaultdict(int)
    for cut in cuts:
        users[cut.topic] = max(users[cut.topic], cut.users)
    users.pop(ALL_TOPICS, None)
    topics = [ALL_TOPICS, *sorted(users, key=lambda topic: (-users[topic], topic))[:_TOPICS_SHOWN]]
    places = {topic: place for place, topic in enumerate(topics)}
    order = (*reversed(ROLES),)
    chosen = [cut for cut in cuts if cut.topic in places]
    return sorted(chosen, key=lambda cut: (places[cut.topic], cut.population, order.index(cut.role)))


def _by_topic(cuts: Sequence[Cut]) -> Iterable[tuple[str, str | None, list[Cut]]]:
    """(topic, population where there are several, cuts)."""
    several = len({cut.population for cut in cuts}) > 1
    groups: dict[tuple[str, str], list[Cut]] = defaultdict(list)
    for cut in cuts:
        groups[cut.topic, cut.population].append(cut)
    for (topic, population), group in groups.items():
        yield topic, population if several else None, group


def titled_table(console: Console, title: str, about: str) -> PlainTable:
    """An empty table under its title, closer where the terminal is narrow."""
    gap = (0, 1, 0, 0) if console.width >= _ROOMY else 0
    console.print(marked("[bold]{}[/] [dim]{}[/]\n", title, about))
    return PlainTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=gap, collapse_padding=True)


def _percent_of_users(cut: Cut, is_wide: bool) -> str:  # noqa: FBT001 - of the table
    """31 [26–36] where 31.0 is known to be between 26.2 and 36.2; only 31 where there is no room."""
    value, low, high = cut.percent_of_users, cut.percent_of_users_low, cut.percent_of_users_high
    if low is None or high is None:
        return _percent(value)
    return rounded(value, low, high) + is_wide * f" {interval(low, high)}"


def _percent(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else "100"


def _print_truth(console: Console, result: DemoResult, truth: Truth) -> None:
    rows = measured(truth, result.cuts)
    table = titled_table(console, "Measured beside what is true", "of this stream, as it was made")
    table.add_column("topic")
    table.add_column("role")
    for header in ("k", "true", "% of\nusers", "true", "% of\npeople", "true"):
        table.add_column(header, justify="right", style="dim" if header == "true" else "")
    table.add_column("")
    topics = list(dict.fromkeys(row.true.topic for row in rows))
    for row in sorted(rows, key=lambda row: (topics.index(row.true.topic), row.true.role)):
        cut, true = row.cut, row.true
        verdict = Text("right", "green") if row.is_right else Text(f"off by {row.error_points:.1f} points", "red")
        is_second = true.role is Role.MAVEN
        table.add_row(
            *("" if is_second else Text(true.topic, "bold"), true.role, f"{cut.k:,}" if cut else "–", f"{true.k:,}"),
            *(_percent(cut.percent_of_users if cut else None), _percent(true.percent_of_users)),
            *(_percent(cut.percent_of_population if cut else None), _percent(true.percent_of_population)),
            verdict,
        )
    console.print(table)
    console.print()
    right = sum(row.is_right for row in rows)
    console.print(f"{right} of {len(rows)} are within {TOLERANCE_POINTS:g} percentage points.\n")


def print_foresight(console: Console, seen: Foresight, when: Callable[[int], str] = time_of_day) -> None:
    """Print when the users planted to rise were seen, and which flags were wrong."""
    table = titled_table(console, "Users planted to rise", "and when they were seen, in event time")
    for header in ("user", "topic", "role"):
        table.add_column(header)
    for header in ("takes off", "emerging", "entered", "warning"):
        table.add_column(header, justify="right")
    for rise in seen.risers:
        table.add_row(rise.riser.user_id, rise.riser.topic, rise.riser.role, *_times(rise, when))
    console.print(table)
    console.print()
    console.print(
        f"{len(seen.leads_ms)} of {len(seen.risers)} were flagged as emerging before they entered{_lead(seen)}."
    )
    were = "was" if seen.undecided == 1 else "were"
    console.print(
        f"False alarms: {seen.false_alarms:,} of {seen.others:,} other standings flagged as emerging did not enter "
        f"before the end of the stream ({seen.undecided:,} of these {were} still emerging then)."
    )
    names = ", ".join(sorted({flag.user_id for flag in seen.decoys}))
    console.print(marked("[red]Decoys flagged: {}.[/]", names) if names else "Of the decoys planted, none was flagged.")


def _times(rise: Rise, when: Callable[[int], str]) -> tuple[str, Text, Text, str]:
    emerging = Text(when(rise.emerging.event_time), "magenta") if rise.emerging else Text("–")
    entered = Text(when(rise.entered.event_time), "green") if rise.entered else Text("–")
    lead = f"{hours(rise.lead_ms / 1000)}" if rise.lead_ms is not None else "–"
    return when(rise.riser.onset_ms), emerging, entered, lead


def _lead(seen: Foresight) -> str:
    if not seen.leads_ms:
        return ""
    return f": {hours(seen.median_lead_ms / 1000)} before (median), at least {hours(min(seen.leads_ms) / 1000)}"
