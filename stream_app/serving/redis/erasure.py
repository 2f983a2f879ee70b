"""Removing a person from the Redis board, wherever their id stands; see board_layout for the keys."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from stream_app.serving.redis.board import CONNECT_TIMEOUT_S, BoardUnavailableError
from stream_app.serving.redis.connection import redis_advice, redis_options
from stream_app.serving.redis.layout import key_part
from stream_app.settings import Settings

_ANSWER_TIMEOUT_S = 10.0
_AT_ONCE = 1000

Removal = tuple[str, ...]
"""A command that removes one thing."""


class BoardEraser:
    """Looks for people on the board, by all names they may have there, and removes them."""

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError for a URL that Redis clients do not understand."""
        self._prefix = settings.redis_prefix
        self._url = settings.redis_url
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url.reveal(),
            **redis_options(settings),
            decode_responses=True,
            encoding_errors="replace",
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=_ANSWER_TIMEOUT_S,
        )

    def count(self, names: Collection[str]) -> int:
        """Keys, members and entries that hold one of the names. Raises BoardUnavailableError."""
        with self._explained():
            return sum(1 for _ in self._removals(names))

    def remove(self, names: Collection[str]) -> None:
        """Remove these. Raises BoardUnavailableError."""
        with self._explained():
            for removal in self._removals(names):
                self._redis.execute_command(*removal)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _removals(self, names: Collection[str]) -> Iterator[Removal]:
        prefixes = tuple(f"{self._prefix}:user:{key_part(name)}:" for name in names)
        for key in self._redis.scan_iter(match=f"{_literal(self._prefix)}:*", count=_AT_ONCE):
            kind = key.removeprefix(f"{self._prefix}:").partition(":")[0]
            if kind == "user" and key.startswith(prefixes):
                yield "DEL", key
            elif kind in {"top", "part"}:
                scores = self._redis.zmscore(key, [*names])
                yield from (("ZREM", key, name) for name, score in zip(names, scores, strict=True) if score is not None)
            elif kind == "noticed":
                yield from (("HDEL", key, name) for name in names if self._redis.hexists(key, name))
            elif kind == "keys":
                members = self._redis.sscan_iter(key, count=_AT_ONCE)
                yield from (("SREM", key, member) for member in members if member.startswith(prefixes))
            elif key == f"{self._prefix}:flags":
                yield from (("XDEL", key, entry) for entry, flag in self._entries(key) if flag.get("user_id") in names)

    def _entries(self, stream: str) -> Iterator[tuple[str, dict[str, str]]]:
        after = "-"
        while entries := self._redis.xrange(stream, min=after, count=_AT_ONCE):
            yield from entries
            after = f"({entries[-1][0]}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            advice = redis_advice(error, has_tls=self._url.scheme == "rediss")
            raise BoardUnavailableError(f"{self._url}: {str(error) or type(error).__name__}; {advice}") from error


def _literal(text: str) -> str:
    """A pattern that only `text` matches."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in text)
