"""The Redis board's layout: its keys, what a snapshot holds, and the commands that write one. Pure, no I/O.

Keys, with the default prefix. A `:` or `%` inside a name is percent-encoded (`%3A`, `%25`), so a key always splits at
`:`; everything else, Unicode too, stands as it is. Every key expires, an hour after its last write by default.

    influence:top:{role}:{population}:{topic}          sorted set  user -> value in the window, the best `top` users
    influence:cut:{role}:{population}:{topic}          hash        the fields of messages.Cut
    influence:user:{user}:{role}:{population}:{topic}  hash        the fields of messages.Flag: the present standing
    influence:noticed:{partition}                      hash        user -> what is noticed, of users in top lists
    influence:flags                                    stream      every flag, same fields; a repeat: same flag_id

A field whose value is null or empty is left out; true and false are 1 and 0; `signals` are words. The rest is
bookkeeping of the writers:

    influence:part:{partition}:{role}:{population}:{topic}  sorted set  the top users of one partition
    influence:keys:{partition}                              set         the part and user keys the partition holds
    influence:writer:{id}                                   string      gone = Redis lost its data since the last write

A worker writes only the parts of its own partitions and then has Redis unite all parts into the top list, so a top list
is right after a write by any worker. Values are absolute: writing twice changes nothing. Redis Cluster is not
supported, because the union needs all parts on one server.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple, TypeVar

import msgspec

from stream_app.core.messages import Cut, Flag, Role
from stream_app.core.queries import TopUsers
from stream_app.core.signals.facts import Fact, all_said

FLAGS_KEPT = 100_000
"""Entries of the flags stream, up to a node of the stream more."""

KEYS_PER_COMMAND = 500

_KINDS = {"top", "cut", "user", "flags", "noticed", "part", "keys", "writer"}
_GLOB = str.maketrans({char: f"\\{char}" for char in "\\*?[]"})

T = TypeVar("T")
Command = tuple[str | int, ...]
Group = list[Command]
"""Commands that readers and other writers must see whole or not at all."""


class StandingRef(NamedTuple):
    """Names a user's standing in one scope and role."""

    user_id: str
    topic: str
    population: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionBoard:
    """What one partition shows."""

    partition: int
    tops: Sequence[TopUsers] = ()
    """Only the best `top` of the partition are needed; one without rows removes the part of the partition."""
    standings: Iterable[Flag] = ()
    """The last flag of each user whose standing is emerging, entered or fading."""
    removed: Sequence[StandingRef] = ()
    """Standings that ended; not needed in a full snapshot."""
    noticed: Mapping[str, Sequence[Fact]] | None = None
    """The facts about all marked users in its top lists; None: those that were written last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSnapshot:
    """What changed since the last snapshot, or, when `full`, everything that the worker's partitions have to show."""

    full: bool
    partitions: Sequence[PartitionBoard] = ()
    """When full: one for each partition the worker owns, even if it has nothing to show."""
    cuts: Sequence[Cut] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names the keys and builds the commands. `partitions` of the input topics; `top` users in a top list."""

    prefix: str
    top: int
    expiry_ms: int
    partitions: int

    @property
    def flags(self) -> str:
        """Key of the flags stream."""
        return f"{self.prefix}:flags"

    def pattern(self, kind: str = "") -> str:
        """What SCAN matches: keys of one kind (such as "top:"), or all, also those of others with the same prefix."""
        return f"{self.prefix.translate(_GLOB)}:{kind}*"

    def owns(self, key: str) -> bool:
        """Whether a key that matches the pattern is one of the board."""
        own = f"{self.prefix}:"
        return key.startswith(own) and key.removeprefix(own).partition(":")[0] in _KINDS

    def writer(self, writer_id: str) -> str:
        """Key that is there while Redis still holds what this writer wrote."""
        return f"{self.prefix}:writer:{writer_id}"

    def noticed(self, partition: int) -> str:
        """Key of the hash of what is noticed about the users of a partition."""
        return f"{self.prefix}:noticed:{partition}"

    def index(self, partition: int) -> str:
        """Key of the set of the keys a partition holds."""
        return f"{self.prefix}:keys:{partition}"

    def indexed(self, partition: int) -> tuple[str, str]:
        """How the keys begin that are in the index of a partition."""
        return self.part(partition, ""), f"{self.prefix}:user:"

    def shown(self, top_list: str) -> tuple[str, str, str] | None:
        """Of which role, population and topic a top list is, by its key; None for a key that somebody else wrote."""
        match [*map(_plain, top_list.removeprefix(self.top_list("")).split(":"))]:
            case [role, population, topic]:
                return role, population, topic
        return None

    def cut(self, scope: str) -> str:
        """The key of the cut of a scope."""
        return f"{self.prefix}:cut:{scope}"

    def top_list(self, scope: str) -> str:
        """Key of a top list; `scope` as scope_name() gives it."""
        return f"{self.prefix}:top:{scope}"

    def part(self, partition: int, scope: str) -> str:
        """Key of one partition's part of a top list."""
        return f"{self.prefix}:part:{partition}:{scope}"

    def user(self, ref: StandingRef) -> str:
        """Key of a user's standing."""
        return f"{self.prefix}:user:{key_part(ref.user_id)}:{scope_name(ref.topic, ref.population, ref.role)}"

    def expire(self, key: str) -> Command:
        """Let the key live another expiry_ms."""
        return ("PEXPIRE", key, self.expiry_ms)

    def held(self, board: PartitionBoard) -> Iterator[str]:
        """Name the keys that a snapshot gives a partition; all it holds when the snapshot is full."""
        for top in board.tops:
            if top.rows:
                yield self.part(board.partition, scope_name(top.topic, top.population, top.role))
        for flag in board.standings:
            yield self.user(_ref(flag))

    def snapshot_groups(self, snapshot: BoardSnapshot, stale: Mapping[int, Sequence[str]]) -> Iterator[Group]:
        """Write a snapshot; `stale` has, per partition, the keys it no longer has."""
        scopes: dict[str, None] = {}
        for board in snapshot.partitions:
            part_prefix = self.part(board.partition, "")
            index = self.index(board.partition)
            # Before the keys themselves: cut short here, the index names too much, which harms nobody.
            for keys in batched(self.held(board)):
                yield [("SADD", index, *keys)]
            for key in stale.get(board.partition, ()):
                yield self._remove(board.partition, key)
                if key.startswith(part_prefix):
                    scopes[key.removeprefix(part_prefix)] = None
            for top in board.tops:
                scope = scope_name(top.topic, top.population, top.role)
                scopes[scope] = None
                yield self._write_part(board.partition, scope, top.rows)
            for flag in board.standings:
                yield self._write_hash(self.user(_ref(flag)), flag)
            for ref in board.removed:
                yield self._remove(board.partition, self.user(ref))
            yield [self.expire(index)]
        yield from self._write_noticed(snapshot.partitions)
        for scope in scopes:
            yield self._unite(scope)
        for cut in snapshot.cuts:
            yield self._write_hash(self.cut(scope_name(cut.topic, cut.population, cut.role)), cut)

    def flag_group(self, flag: Flag) -> Group:
        """Append a flag to the stream."""
        return [("XADD", self.flags, "MAXLEN", "~", FLAGS_KEPT, "*", *_fields(flag))]

    def _write_part(self, partition: int, scope: str, rows: Sequence[tuple[str, int]]) -> Group:
        key = self.part(partition, scope)
        if not rows:
            return self._remove(partition, key)
        members: Iterator[str | int] = chain.from_iterable((value, user) for user, value in rows)
        added: Group = [("ZADD", key, *some) for some in batched(members)]  # always whole pairs: of an even number
        return [("DEL", key), *added, self.expire(key)]

    def _write_noticed(self, boards: Iterable[PartitionBoard]) -> Iterator[Group]:
        for board in boards:
            if board.noticed is None:
                continue
            key = self.noticed(board.partition)
            words = chain.from_iterable((user, all_said(facts)) for user, facts in board.noticed.items())
            added: Group = [("HSET", key, *some) for some in batched(words)]  # always whole pairs: of an even number
            yield [("DEL", key), *added, self.expire(key)]

    def _write_hash(self, key: str, message: Cut | Flag) -> Group:
        # DEL first: a field that became null has to go.
        return [("DEL", key), ("HSET", key, *_fields(message)), self.expire(key)]

    def _unite(self, scope: str) -> Group:
        key = self.top_list(scope)
        parts = [self.part(partition, scope) for partition in range(self.partitions)]
        return [
            # A user lives in one partition; MAX keeps a stale copy elsewhere from being added to the true value.
            ("ZUNIONSTORE", key, len(parts), *parts, "AGGREGATE", "MAX"),
            ("ZREMRANGEBYRANK", key, 0, -self.top - 1),
            self.expire(key),
        ]

    def _remove(self, partition: int, key: str) -> Group:
        return [("DEL", key), ("SREM", self.index(partition), key)]


def scope_name(topic: str, population: str, role: Role) -> str:
    """Name a scope and role within a key."""
    return f"{role.value}:{key_part(population)}:{key_part(topic)}"


def batched(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """The items, as many at a time as a command takes."""
    left = iter(items)
    while batch := tuple(islice(left, KEYS_PER_COMMAND)):
        yield batch


def _ref(flag: Flag) -> StandingRef:
    return StandingRef(flag.user_id, flag.topic, flag.population, flag.role)


def key_part(text: str) -> str:
    """A name as it stands within a key: no `:` is left in it."""
    return text.replace("%", "%25").replace(":", "%3A")


def _plain(name: str) -> str:
    return name.replace("%3A", ":").replace("%25", "%")


def _fields(message: Cut | Flag) -> list[str]:
    """Field, value, field, value …, as HSET and XADD take them."""
    fields = zip(message.__struct_fields__, msgspec.structs.astuple(message), strict=True)
    return [text for name, value in fields if value is not None and value != [] for text in (name, _text(value))]


def _text(value: object) -> str:
    if isinstance(value, list):
        return all_said(value)
    return str(int(value)) if value is True or value is False else str(value)
