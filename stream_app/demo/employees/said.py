"""What a demo with employees prints: who carries the news and speaks most, where that may be said; the verdict."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from stream_app.core.messages import ALL_TOPICS, Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees.readings import INFLUENCERS, Reading, read_everything, read_influencers
from stream_app.demo.employees.verdict import Verdict, reach, too_small, verdict
from stream_app.demo.generator.company import ACROSS, DEPARTMENTS, Company
from stream_app.demo.result import print_foresight, titled_table
from stream_app.demo.runner import DemoResult
from stream_app.demo.truth import foresight
from stream_app.terminal.format import moment, plural
from stream_app.terminal.output import marked

_NAMES_SHOWN = 4
_MOST_ROWS = 10
_MOST_SHOWN = 20
Who = Mapping[tuple[ScopeName, Role], Sequence[str]]
"""Who may be named, those who have most first."""


def show_employees(console: Console, result: DemoResult) -> Verdict | None:
    """Ask the tracker of a demo, which still runs, and print what it says; judge it where the company is known.

    Raises DemoError.
    """
    company, settings = result.company, result.settings
    if company is None:
        largest = _largest(result.cuts)
        _print_topics(console, largest, result.cuts, who_in(read_influencers(settings, largest)))
        return None
    readings = list(read_everything(settings, reach(company, settings)))
    who = who_in(readings)
    _print_company(console, result.cuts, who, too_small(company, settings))
    print_foresight(console, foresight(company, result.flags), moment)
    _print_loud(console, company, who)
    judged = verdict(company, settings, readings, result.cuts)
    _print_verdict(console, judged)
    return judged


def who_in(readings: Iterable[Reading]) -> Who:
    """From what the API says of influencers."""
    found: dict[tuple[ScopeName, Role], list[str]] = defaultdict(list)
    for reading in readings:
        if reading.where.startswith(f"{INFLUENCERS}?"):
            for one in reading.named:
                found[one.scope, one.role].append(one.user)
    return found


def _print_company(console: Console, cuts: Sequence[Cut], who: Who, small: Sequence[ScopeName]) -> None:
    """Print who carries the news across departments, and who speaks most in each."""
    topics = sorted(cut.topic for cut in cuts if cut.population == ACROSS and cut.role is Role.CONNECTOR)
    across = {topic: ScopeName(ACROSS, topic) for topic in topics}
    _print_who(console, "Who carries the news across departments", (Role.CONNECTOR, "topic"), across, cuts, who)
    departments = {name: ScopeName(name, ALL_TOPICS) for name in DEPARTMENTS}
    _print_who(console, "Who speaks most", (Role.MAVEN, "department"), departments, cuts, who)
    for scope in small:
        if ScopeName(scope.population, ALL_TOPICS) not in small:
            console.print(f"The topic {scope.topic} in {scope.population}: too small.\n")


def _print_loud(console: Console, company: Company, who: Who) -> None:
    for person in company.decoys:
        places = {(scope.population, role) for (scope, role), people in who.items() if person in people}
        speaks = " and ".join(sorted(name for name, role in places if role is Role.MAVEN)) or "nowhere"
        carries = "too" if (ACROSS, Role.CONNECTOR) in places else "not"
        console.print(
            f"Planted to be loud: {person}. It is among those who speak most in {speaks}, and {carries} among those "
            "who carry the news across departments.\n"
        )


def _largest(cuts: Iterable[Cut]) -> list[ScopeName]:
    """The topics of most users."""
    users: dict[ScopeName, int] = defaultdict(int)
    for cut in cuts:
        scope = ScopeName(cut.population, cut.topic)
        users[scope] = max(users[scope], cut.users)
    return sorted(users, key=lambda scope: (-users[scope], scope))[:_MOST_ROWS]


def _print_topics(console: Console, scopes: Sequence[ScopeName], cuts: Sequence[Cut], who: Who) -> None:
    """Print the same of topics of recorded events."""
    several = len({scope.population for scope in scopes}) > 1
    rows = {f"{scope.topic} ({scope.population})" if several else scope.topic: scope for scope in scopes}
    _print_who(console, "Who carries the news", (Role.CONNECTOR, "topic"), rows, cuts, who)
    _print_who(console, "Who speaks most", (Role.MAVEN, "topic"), rows, cuts, who)


def _print_who(
    console: Console,
    title: str,
    of: tuple[Role, str],
    rows: Mapping[str, ScopeName],
    cuts: Iterable[Cut],
    who: Who,
) -> None:
    """Print a table with a row for each scope, and the people who may be named; `of`: the role, what a row is."""
    role, header = of
    found = {ScopeName(cut.population, cut.topic): cut for cut in cuts if cut.role is role}
    what = "posts" if role is Role.MAVEN else "impressions"
    table = titled_table(console, title, f"k people make most of the {what}; numbers are round")
    table.add_column(header, no_wrap=True)
    for name in ("people", "k"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("who may be named")
    for label, scope in rows.items():
        cut = found.get(scope)
        if cut is None:
            table.add_row(label, "", "", Text("too small", "dim"))
        else:
            table.add_row(label, f"{cut.users:,}", f"{cut.k:,}", _listed(who.get((scope, role), ())))
    console.print(table)
    console.print()


def _print_verdict(console: Console, judged: Verdict) -> None:
    """Print whether everything is as it must be, and what is not."""
    times = plural(judged.names, "time")
    read = f"{judged.readings:,} answers, records and keys were read, which name somebody {times}"
    if judged.leaks:
        console.print(marked("[red]{}: these may not say what they say:[/]", read))
        _print_some(console, judged.leaks)
    else:
        console.print(marked("[green]{}; none names anybody or anything below the minimum.[/]", read))
    right = f"{plural(judged.cuts, 'cut')} of enough people"
    if judged.wrong_cuts:
        console.print(marked("[red]Of {} these are wrong:[/]", right))
        _print_some(console, judged.wrong_cuts)
    else:
        console.print(marked("[green]{} are right, and there are no others.[/]", right))


def _print_some(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:_MOST_SHOWN]:
        console.print(f"  {line}")
    if (more := len(lines) - _MOST_SHOWN) > 0:
        console.print(f"  … and {more:,} more")


def _listed(people: Sequence[str]) -> str | Text:
    if not people:
        return Text("nobody", "dim")
    more = len(people) - _NAMES_SHOWN
    return ", ".join(people[:_NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
