"""The Redis board: the write of a snapshot, and the reader of a top list."""

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterCrossSlotError, ClusterError, NoPermissionError, RedisError

from stream_app.core.messages import Flag, Role
from stream_app.serving.redis.connection import redis_advice, redis_options
from stream_app.serving.redis.layout import KEYS_PER_COMMAND, BoardSnapshot, Group, Layout, batched, scope_name
from stream_app.settings import Settings, SettingsError
from stream_app.settings.redis_url import MALFORMED

CONNECT_TIMEOUT_S = 1.0
SOCKET_TIMEOUT_S = 2.0
_MOST_INDEXED = 1_000_000
_LONGEST_NAME = 1000
_LONGEST_NUMBER = 20
"""Bounds of what comes back from Redis."""
CHUNK_COMMANDS = 500
"""Commands per round trip: a large snapshot neither runs into the timeout nor holds up the event loop or the server."""

_RUN_COMMANDS = """
for _, command in ipairs(cmsgpack.unpack(ARGV[1])) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    local key = string.gsub(command[2], ':user:.*', ':user:*')  -- the reason is logged: it must not name a user
    return redis.error_reply(command[1] .. ' ' .. key .. ': ' .. answer.err)
  end
end
"""
"""Runs all commands of a chunk: the asyncio client takes 20 to 50 us of the event loop for each one and its answer."""


_ENCODER = msgspec.msgpack.Encoder()


class BoardUnavailableError(Exception):
    """Redis does not answer or refuses; the message says which server, why, and what to do."""


class Board:
    """Writes snapshots to one Redis server and reads top lists from it; see board_layout for the keys.

    `top` is the length of a top list, `expiry_s` in seconds, `partitions` the number of partitions of the input topics.
    `tls`: what redis-py is to know for rediss://. Raises ValueError for a URL that Redis clients do not understand.
    """

    def __init__(
        self, url: str, prefix: str, top: int, expiry_s: float, partitions: int, tls: Mapping[str, Any] | None = None
    ) -> None:
        self._layout = Layout(prefix=prefix, top=top, expiry_ms=max(1, round(expiry_s * 1000)), partitions=partitions)
        self._marker = self._layout.writer(secrets.token_hex(8))
        try:
            self._address, self._has_tls = _address(url), url.startswith("rediss://")
            self._redis: Redis = Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="replace",  # others may write there too
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=SOCKET_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),  # the loop tries again, with fresher values
                **(tls or {}),
            )
        except ValueError:  # its text may hold a part of the password
            raise ValueError(MALFORMED) from None
        self._run_commands = self._redis.register_script(_RUN_COMMANDS)

    async def refresh(self, snapshot: BoardSnapshot, flags: Iterable[Flag] = ()) -> bool:
        """Write a snapshot and append `flags` to the stream; may be repeated after any failure.

        Returns False when Redis has lost what was written before (restart, flush): write a full snapshot next.
        Raises BoardUnavailableError; what was written until then is right, but not complete.
        """
        added = chain(map(self._layout.flag_group, flags), [[self._layout.expire(self._layout.flags)]])
        async with self._explained():
            if snapshot.full:
                groups = self._layout.snapshot_groups(snapshot, await self._stale(snapshot))
                # The marker comes last: a snapshot cut short does not count as complete.
                await self._write(chain(groups, added))
                await self._redis.set(self._marker, 1, px=self._layout.expiry_ms)
                return True
            kept = await self._redis.pexpire(self._marker, self._layout.expiry_ms)
            await self._write(chain(self._layout.snapshot_groups(snapshot, {}), added))
            return bool(kept)

    async def read_top(self, topic: str, role: Role, population: str, n: int) -> list[tuple[str, int]]:
        """Return the best n users as (user, value), highest first; none for an unknown scope.

        Raises BoardUnavailableError.
        """
        if n < 1:
            return []
        key = self._layout.top_list(scope_name(topic, population, role))
        async with self._explained():
            rows: Any = await self._redis.zrange(key, 0, n - 1, desc=True, withscores=True)
        return [(user[:_LONGEST_NAME], int(value)) for user, value in rows if isfinite(value)]

    async def read_noticed(self, users: Sequence[str]) -> dict[str, str]:
        """Return what is noticed about those of some users who are marked. Raises BoardUnavailableError."""
        found: dict[str, str] = {}
        async with self._explained():
            for partition in range(self._layout.partitions) if users else ():
                try:
                    words: Any = await self._redis.hmget(self._layout.noticed(partition), [*users])
                except NoPermissionError:
                    return {}
                said = zip(users, words, strict=True)
                found |= {user: text[:_LONGEST_NAME] for user, text in said if isinstance(text, str)}
        return found

    async def read_interval(self, topic: str, role: Role, population: str) -> tuple[int, int] | None:
        """Return where the interval of θ begins and ends; None where it is not known. Raises BoardUnavailableError."""
        key = self._layout.cut(scope_name(topic, population, role))
        async with self._explained():
            try:
                bounds: Any = await self._redis.hmget(key, ["threshold_low", "threshold_high"])
                low, high = (int(bound[:_LONGEST_NUMBER]) for bound in bounds)
            except (NoPermissionError, TypeError, ValueError):  # not allowed, not there, or not written by a worker
                return None
        return low, high

    async def shown(self) -> set[tuple[str, str, str]]:
        """Of which (role, population, topic) there are top lists. Raises BoardUnavailableError."""
        async with self._explained():
            keys = self._redis.scan_iter(self._layout.pattern("top:"), KEYS_PER_COMMAND)
            found = {self._layout.shown(key) async for key in keys}
            return {shown for shown in found if shown is not None}

    async def forget(self, *, dry_run: bool = False) -> int:
        """Delete every key of the board and return how many there were; a dry run only counts them.

        Raises BoardUnavailableError.
        """
        count = 0
        async with self._explained():
            found = [
                key
                async for key in self._redis.scan_iter(self._layout.pattern(), KEYS_PER_COMMAND)
                if self._layout.owns(key)
            ]
            for keys in batched(sorted(set(found))):
                count += len(keys)
                if not dry_run:
                    await self._redis.unlink(*keys)
        return count

    async def ping(self) -> None:
        """Return when Redis answers; raises BoardUnavailableError."""
        async with self._explained():
            await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _stale(self, snapshot: BoardSnapshot) -> dict[int, list[str]]:
        """Per partition of a full snapshot: the keys it holds in Redis and no longer has."""
        return {
            board.partition: sorted(await self._indexed(board.partition) - set(self._layout.held(board)))
            for board in snapshot.partitions
        }

    async def _indexed(self, partition: int) -> set[str]:
        """The keys in the index of a partition, of which others may have written some: only its own are deleted."""
        found: set[str] = set()
        async for key in self._redis.sscan_iter(self._layout.index(partition), count=KEYS_PER_COMMAND):
            if key.startswith(self._layout.indexed(partition)):
                found.add(key)
            if len(found) >= _MOST_INDEXED:
                break
        return found

    async def _write(self, groups: Iterable[Group]) -> None:
        """Run the groups in order, in as few calls as they fit in. A group is never split."""
        commands: Group = []
        for group in groups:
            commands += group
            if len(commands) >= CHUNK_COMMANDS:
                await self._run_commands(args=[_ENCODER.encode(commands)])
                commands = []
        if commands:
            await self._run_commands(args=[_ENCODER.encode(commands)])

    @asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        try:
            yield
        except (AskError, ClusterError, ClusterCrossSlotError) as error:
            raise self._in_a_cluster(error) from error
        except (RedisError, OSError) as error:
            if "in a cluster node" in str(error):
                raise self._in_a_cluster(error) from error
            what = str(error).rstrip(".") or type(error).__name__
            reason = f"{what}. {redis_advice(error, has_tls=self._has_tls)}"
            raise BoardUnavailableError(f"Redis at {self._address}: {reason}") from error

    def _in_a_cluster(self, error: Exception) -> BoardUnavailableError:
        what = str(error).rstrip(".")
        reason = f"{what}. Redis Cluster is not supported: point STREAM_APP_REDIS_URL at a single server"
        return BoardUnavailableError(f"Redis at {self._address}: {reason}")


def open_board(settings: Settings) -> Board:
    """The board that the settings name. Raises SettingsError."""
    url, tls = settings.redis_url.reveal(), redis_options(settings)
    try:
        return Board(url, settings.redis_prefix, settings.redis_top, settings.redis_expiry_s, settings.partitions, tls)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _address(url: str) -> str:
    """Host and port, or the path of a socket. Raises ValueError where a part of a password could be taken for them."""
    parts = urlsplit(url)
    if "@" in url and "@" not in parts.netloc:
        raise ValueError("a password that is not quoted")
    return parts.netloc.rpartition("@")[2] or parts.path
