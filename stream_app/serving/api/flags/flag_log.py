"""The last flags of all workers, in the order they were read, and who waits for the next ones. No I/O.

A position says up to where all partitions have been read: their offsets by partition number, joined by dots. It holds
for every worker and across restarts, so a reader goes on anywhere.
"""

import asyncio
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from operator import attrgetter
from sys import intern
from typing import NamedTuple

import msgspec

from stream_app.core.messages import Flag, FlagType, Role
from stream_app.serving.api.params import FlagFilter

KEPT = 10_000
KEPT_OF_TYPE = 500
"""Of each type so many more: the few who emerge are not swept away by the many who enter."""
_MOST_WAITING = 2_000
_MOST_DIGITS = 18
_FLAG = msgspec.json.Decoder(Flag)


class FlagAbout(msgspec.Struct, frozen=True, gc=False):
    """What of a flag is asked again and again. The rest is in its JSON: decoded, it takes three times as much."""

    flag_id: str
    type: FlagType
    role: Role
    topic: str
    population: str
    user_id: str
    detected_at: int

    @classmethod
    def of(cls, flag: Flag) -> "FlagAbout":
        """Return it of a flag; the names that many flags have in common are the same strings."""
        names = (intern(flag.topic), intern(flag.population))
        return cls(flag.flag_id, flag.type, flag.role, *names, flag.user_id, flag.detected_at)


class LoggedFlag(NamedTuple):
    """A flag where it stands."""

    partition: int
    offset: int
    flag: FlagAbout
    position: str
    """After it."""
    event: bytes
    """Its JSON as a server-sent event, framed once for all readers."""

    def whole(self) -> Flag:
        """Return all of the flag."""
        return _FLAG.decode(self.event.partition(b"\ndata: ")[2])


class Subscriber:
    """Waits for flags; one that is too slow is cut off, and comes again with the position it has reached."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[LoggedFlag | None] = asyncio.Queue()
        self.is_lagging = False

    def put(self, entry: LoggedFlag) -> None:
        """Hand it a flag."""
        if self.is_lagging:
            return
        self.is_lagging = self._waiting.qsize() >= _MOST_WAITING
        self._waiting.put_nowait(None if self.is_lagging else entry)

    async def take(self, timeout_s: float) -> LoggedFlag | None:
        """The next flag; None after some time without any, or when it is lagging."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._waiting.get()
        except TimeoutError:
            return None


class FlagLog:
    """Remembers the last KEPT flags, and of each type KEPT_OF_TYPE before them, each once."""

    def __init__(
        self,
        erased: Callable[[Iterable[str]], set[str]],
        on_added: Callable[[Flag, int], None] = lambda _flag, _partition: None,
    ) -> None:
        """`erased`: those of some users whose flags must not be seen any more; `on_added`: takes flag and partition."""
        self._erased = erased
        self._on_added = on_added
        self._entries: deque[LoggedFlag] = deque()
        self._older: dict[FlagType, deque[LoggedFlag]] = {kind: deque() for kind in FlagType}
        """Those before the entries."""
        self._seen: set[str] = set()
        self._detected_ms: list[int] = []
        """When each was detected, in order."""
        self.is_complete = asyncio.Event()
        """Set once what was there at the start has been read."""
        self.offsets: dict[int, int] = {}
        """Up to where each partition has been read."""
        self._texts: list[str] = []
        """The same by partition, as in a position."""
        self._subscribers: set[Subscriber] = set()
        self.added = 0
        """Flags that were ever added."""
        self._began: dict[int, int] = {}
        """By partition, the offset from which on everything is here."""
        self._unread: set[int] = set()
        """Partitions of which earlier flags were not read, until it is known when those that are here begin."""
        self._begun_ms: int | None = None
        """Flags detected up to then were not read."""
        self._forgotten_ms: dict[FlagType | None, int] = {}
        """By type, and of all: when the last one that is not kept was detected."""

    def begin(self, offsets: Mapping[int, int], unread: Iterable[int] = ()) -> None:
        """Reading begins at these offsets by partition; `unread`: those of which Kafka has more before them."""
        self.offsets, self._texts, self._began, self._unread = {}, [], dict(offsets), set(unread)
        for partition, offset in offsets.items():
            self._reach(partition, offset)

    def add(self, partition: int, offset: int, flag: Flag, json: bytes) -> bool:
        """A flag was read, those of a partition in the order of their offsets; returns whether it is a new one."""
        self._reach(partition, max(offset + 1, self.offsets.get(partition, 0)))
        if partition in self._unread:
            self._unread.discard(partition)
            self._begun_ms = max(self._begun_ms or 0, flag.detected_at)
        if flag.flag_id in self._seen:
            return False
        position = self.position
        event = b"event: flag\nid: %s\ndata: %s\n\n" % (position.encode(), json)
        entry = LoggedFlag(partition, offset, FlagAbout.of(flag), position, event)
        self._entries.append(entry)
        self.added += 1
        self._on_added(flag, partition)
        self._seen.add(flag.flag_id)
        insort(self._detected_ms, flag.detected_at)  # nearly always at the end
        if len(self._entries) > KEPT:
            self._forget_oldest()
        for subscriber in self._subscribers:
            subscriber.put(entry)
        return True

    @property
    def position(self) -> str:
        """After the last flag that was read."""
        return ".".join(self._texts)

    def newest(self, wanted: FlagFilter, most: int, since_ms: int = -1) -> list[Flag]:
        """At most `most` flags that fit, detected later than `since_ms`, the newest first."""
        older = reversed(self._older[wanted.type]) if wanted.type else ()
        fitting = (entry for entry in chain(reversed(self._entries), older) if fits(entry.flag, wanted))
        found = [entry for entry in fitting if entry.flag.detected_at > since_ms]
        found.sort(key=attrgetter("flag.detected_at"), reverse=True)  # the partitions are read a little apart
        erased = self._erased({entry.flag.user_id for entry in found})
        return [entry.whole() for entry in islice((one for one in found if one.flag.user_id not in erased), most)]

    def since(self, wanted: FlagFilter) -> int | None:
        """Flags of that type detected up to then may be missing; None where nothing is."""
        known = [ms for ms in (self._begun_ms, self._forgotten_ms.get(wanted.type)) if ms is not None]
        return max(known, default=None)

    def after(self, position: str) -> tuple[int, list[LoggedFlag]]:
        """What follows a position: how many flags of it only Kafka has, and those that are here. Raises ValueError."""
        reached = _offsets(position)
        missing = sum(max(began - reached.get(number, 0), 0) for number, began in self._began.items())
        return missing, [entry for entry in self._entries if entry.offset >= reached.get(entry.partition, 0)]

    def is_behind(self, position: str) -> bool:
        """Whether a position holds more than has been read here. Raises ValueError."""
        return any(offset > self.offsets.get(number, 0) for number, offset in _offsets(position).items())

    def last(self, count: int, of_type: int = KEPT) -> list[LoggedFlag]:
        """The last `count` flags, less those of people who were erased, the oldest first; `of_type` of each at most."""
        passed = Counter[FlagType]()
        newest = []
        for entry in islice(reversed(self._entries), count):
            passed[entry.flag.type] += 1
            if passed[entry.flag.type] <= of_type:
                newest.append(entry)
        erased = self._erased({entry.flag.user_id for entry in newest})
        return [entry for entry in reversed(newest) if entry.flag.user_id not in erased]

    def hides(self, entry: LoggedFlag) -> bool:
        """Whether it is of somebody who was erased."""
        return bool(self._erased((entry.flag.user_id,)))

    def detected_since(self, since_ms: int) -> int:
        """How many flags were detected at that time or later."""
        return len(self._detected_ms) - bisect_left(self._detected_ms, since_ms)

    @contextmanager
    def subscription(self) -> Iterator[Subscriber]:
        """Hands on every flag that is read during the block."""
        subscriber = Subscriber()
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def _reach(self, partition: int, offset: int) -> None:
        self.offsets[partition] = offset
        self._texts += ["0"] * (partition + 1 - len(self._texts))
        self._texts[partition] = str(offset)

    def _forget_oldest(self) -> None:
        oldest = self._entries.popleft()
        kind, older = oldest.flag.type, self._older[oldest.flag.type]
        del self._detected_ms[bisect_left(self._detected_ms, oldest.flag.detected_at)]
        self._began[oldest.partition] = oldest.offset + 1
        self._forgotten_ms[None] = oldest.flag.detected_at
        older.append(oldest)
        if len(older) > KEPT_OF_TYPE:
            forgotten = older.popleft().flag
            self._seen.discard(forgotten.flag_id)
            self._forgotten_ms[kind] = forgotten.detected_at


def _offsets(position: str) -> dict[int, int]:
    return dict(enumerate(map(_offset, position.split("."))))


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise ValueError(f"{text!r} is no offset")
    return int(text)


def fits(flag: FlagAbout, wanted: FlagFilter) -> bool:
    """Whether it is one of those asked for."""
    asked = (
        (wanted.type, flag.type),
        (wanted.role, flag.role),
        (wanted.topic, flag.topic),
        (wanted.population, flag.population),
        (wanted.user, flag.user_id),
    )
    return all(value is None or value == found for value, found in asked)
