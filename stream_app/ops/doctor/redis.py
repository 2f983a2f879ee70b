"""Check of Redis: whether it can keep the board, and whether its clock is this machine's."""

from collections.abc import Iterator, Mapping
from time import time
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from stream_app.findings import Finding, ok, problem, warning
from stream_app.kafka.clients import COMMAND_TIMEOUT_S
from stream_app.serving.redis.connection import redis_advice, redis_options
from stream_app.settings import Settings, SettingsError

_OLDEST = 7
_CLOCK_S = 1.0
_NEARLY_FULL = 0.9


def redis(settings: Settings) -> Iterator[Finding]:
    """The server, what it does when it is full, scripts, and the clock."""
    if not settings.redis_url:
        yield ok("Redis", "no board: STREAM_APP_REDIS_URL is empty")
        return
    address = str(settings.redis_url)
    try:
        client = _client(settings)
    except SettingsError as error:
        yield problem("Redis", "no connection is possible", str(error))
        return
    except ValueError:  # its text may hold a part of the password
        yield problem("Redis", "STREAM_APP_REDIS_URL cannot be read", "write it like redis://host:6379/0")
        return
    try:
        yield from _server(client, address)
        yield from _scripts(client)
        yield from _clock(client)
    except (RedisError, OSError) as error:
        yield problem(
            "Redis",
            f"{address}: {str(error) or type(error).__name__}",
            f"{redis_advice(error, has_tls=settings.redis_url.scheme == 'rediss')}. "
            "Counting goes on without it, the board does not",
        )
    finally:
        client.close()


def _server(client: Any, address: str) -> Iterator[Finding]:
    client.ping()
    try:
        info = client.info()
    except NoPermissionError:
        yield ok("Redis", f"answers at {address}; version and memory unknown: INFO is not allowed")
        return
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    what = f"{name} {version} at {address}"
    if info.get("redis_mode") == "cluster":
        yield problem("Redis", f"{what} is a cluster", "point STREAM_APP_REDIS_URL at a single server")
    elif int(version.split(".")[0]) < _OLDEST:
        yield warning("Redis", what, "use Redis or Valkey 7 or newer")
    else:
        yield ok("Redis", what)
    yield from _writes(info)
    policy, most = info.get("maxmemory_policy", "unknown"), int(info.get("maxmemory", 0))
    memory = f"maxmemory {most:,} bytes" if most else "no maxmemory"
    if most and policy not in {"noeviction", "unknown"}:
        advice = "give the board a server of its own with maxmemory-policy noeviction"
        yield warning("Redis", f"{memory}, {policy}: when it is full, parts of the board go", advice)
    else:
        yield ok("Redis", f"{memory}, maxmemory-policy {policy}")


def _writes(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether it takes writes, as far as it says."""
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if info.get("role") == "slave" and info.get("slave_read_only", 1):
        advice = "point STREAM_APP_REDIS_URL at the primary. Counting goes on without it, the board does not"
        yield problem("Redis", "it is a read-only replica, which takes no writes", advice)
    if most and used >= most and info.get("maxmemory_policy") == "noeviction":
        what = f"its memory is full: {used:,} of {most:,} bytes (maxmemory), so it takes no writes"
        yield problem("Redis", what, "give it more memory. Counting goes on without it, the board does not")
    elif most and used > _NEARLY_FULL * most and info.get("maxmemory_policy") == "noeviction":
        what = f"its memory is nearly full: {used:,} of {most:,} bytes (maxmemory)"
        yield warning("Redis", what, "give it more memory: when it is full, it takes no writes")


def _scripts(client: Any) -> Iterator[Finding]:
    try:
        client.evalsha(client.script_load("return 1"), 0)
    except NoPermissionError as error:
        yield problem("Redis", f"scripts are not allowed: {error}", "allow EVALSHA and SCRIPT LOAD to this user")
    else:
        yield ok("Redis", "scripts are allowed")


def _clock(client: Any) -> Iterator[Finding]:
    """TIME answers for the middle of the round trip, as far as can be known."""
    before = time()
    try:
        seconds, microseconds = client.time()
    except NoPermissionError:
        return
    apart_s = seconds + microseconds / 1_000_000 - (before + time()) / 2
    if abs(apart_s) > _CLOCK_S:
        what = f"this machine's is {abs(apart_s):.1f} s {'behind' if apart_s > 0 else 'ahead of'} that of Redis"
        yield warning("clock", what, "set both by NTP: events ahead of a worker's clock are set aside")
    else:
        yield ok("clock", f"this machine and Redis agree within {_CLOCK_S:g} s")


def _client(settings: Settings) -> Redis:
    """A client of the board's Redis. Raises ValueError for a URL that it does not understand."""
    return Redis.from_url(
        settings.redis_url.reveal(),
        socket_connect_timeout=COMMAND_TIMEOUT_S,
        socket_timeout=COMMAND_TIMEOUT_S,
        decode_responses=True,
        encoding_errors="replace",
        **redis_options(settings),
    )
