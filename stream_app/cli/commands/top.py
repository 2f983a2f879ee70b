"""`stream-app top`."""

import asyncio

import click

from stream_app.cli.options import Command, settings_options
from stream_app.core.events.names import normal_topic
from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION, Role
from stream_app.serving.redis.board import open_board
from stream_app.settings import Settings, SettingsError
from stream_app.terminal.output import console, print_json, table

_NAMED = 8
"""How many of the names that exist a message lists."""


@click.command("top", cls=Command, examples=("stream-app top --topic phone --role maven -n 20",))
@click.option("--topic", default=ALL_TOPICS, metavar="NAME", help="* is all topics together  [*]")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.CONNECTOR.value, show_default=True
)
@click.option("--population", default=DEFAULT_POPULATION, metavar="NAME", show_default=True)
@click.option("-n", "count", type=click.IntRange(min=1), default=10, metavar="N", help="how many users  [10]")
@click.option("--without-marked", is_flag=True, help="leave out users about whom something is noticed")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@settings_options("redis_url", "redis_prefix", "redis_top", "partitions")
def command(
    settings: Settings, topic: str, role: str, population: str, count: int, without_marked: bool, as_json: bool
) -> None:
    """Print the top users of a topic in the current window, as the workers keep them in Redis.

    What is noticed about a user in 24 hours stands beside: facts, and no verdict.

    Borderline: inside the 95 % interval of θ, so that who happened to be active decides whether they are in the cut.

    The exit status is 1 where there are none.
    """
    topic = normal_topic(topic)
    users, within, noticed, missing = asyncio.run(
        _read(settings, topic, Role(role), population, settings.redis_top if without_marked else count)
    )
    low, high = within or (0, 0)
    if without_marked:
        users = [(user, value) for user, value in users if user not in noticed][:count]
    if as_json:
        rows = [
            {"user_id": user, "value": value, "borderline": low <= value <= high, "noticed": noticed.get(user, "")}
            for user, value in users
        ]
        print_json({"topic": topic, "population": population, "role": role, "users": rows})
    elif users:
        unit = Role(role).unit
        shown = table("", "user", unit, " ", numbers={"", unit})
        for rank, (user, value) in enumerate(users, 1):
            words = filter(None, ("borderline" * (low <= value <= high), noticed.get(user, "")))
            shown.add_row(str(rank), user, f"{value:,}", "; ".join(words))
        console().print(shown)
    if missing:
        raise click.ClickException(missing)


async def _read(
    settings: Settings, topic: str, role: Role, population: str, count: int
) -> tuple[list[tuple[str, int]], tuple[int, int] | None, dict[str, str], str]:
    """(user, value), highest first; the interval of θ; what is noticed, by user; where there are no users, why.

    Raises BoardUnavailableError and SettingsError.
    """
    if not settings.redis_url:
        raise SettingsError("there is no board: STREAM_APP_REDIS_URL is empty")
    board = open_board(settings)
    try:
        users = await board.read_top(topic, role, population, count)
        if not users:
            return users, None, {}, _why_none(settings, topic, role, population, await board.shown())
        noticed = await board.read_noticed([user for user, _ in users])
        return users, await board.read_interval(topic, role, population), noticed, ""
    finally:
        await board.close()


def _why_none(settings: Settings, topic: str, role: Role, population: str, shown: set[tuple[str, str, str]]) -> str:
    if not shown:
        return (
            f"there is no board in Redis under the prefix {settings.redis_prefix}: is a worker running, with events in "
            "its window, and are STREAM_APP_REDIS_URL and STREAM_APP_REDIS_PREFIX those of the worker? "
            "`stream-app doctor` checks that"
        )
    if topics := sorted(name for kind, group, name in shown if (kind, group) == (role, population)):
        more = f" and {len(topics) - _NAMED:,} more" if len(topics) > _NAMED else ""
        return f"{topic!r} has no {role}s in the window; there are some of {', '.join(topics[:_NAMED])}{more}"
    populations = sorted({group for kind, group, _ in shown if kind == role})
    there = f"there are some in {', '.join(populations[:_NAMED])}" if populations else f"there are no {role}s at all"
    return f"population {population!r} has no {role}s in the window; {there}"
