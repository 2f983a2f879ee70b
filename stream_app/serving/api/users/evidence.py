"""The events behind a user's value, read back from Kafka when somebody asks: the tracker keeps counts, not events."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import nlargest
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

import msgspec
from aiokafka.errors import KafkaError

from stream_app.core.events.credit import ViewRates, credit, credit_all
from stream_app.core.events.decode import decode, decode_retractions
from stream_app.core.events.names import normal_topic
from stream_app.core.events.schema import Event, Post, Retract, Share
from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.queries import ScopeName
from stream_app.kafka.records import Record
from stream_app.kafka.topic_reader import OpenPartitions
from stream_app.serving.api.users.why_response import Contribution, Evidence
from stream_app.settings import Settings

_SHOWN = 5
_MOST_RECORDS = 200_000
_PATIENCE_S = 4.0
_LONGEST_S = 15.0
"""For all topics, connecting included."""
_REMEMBERED_S = 15.0
_MOST_REMEMBERED = 100


class _Asked(NamedTuple):
    user: str
    partition: int
    scope: ScopeName
    window_ms: tuple[int, int]


class _Read(NamedTuple):
    """What was found in one topic."""

    kind: type[Event]
    events: list[Event]
    """Each once."""
    records: int
    why_not: str


T = TypeVar("T")


class _Taken(NamedTuple, Generic[T]):
    """What was taken of the records of a topic."""

    found: list[T]
    records: int
    why_not: str


class EvidenceReader:
    """Reads for one question at a time, and remembers the answer for a moment."""

    def __init__(
        self, settings: Settings, open_partitions: OpenPartitions, erased: Callable[[Iterable[str]], set[str]]
    ) -> None:
        """`erased`: those of some people who must not be seen any more."""
        self._settings = settings
        self._erased = erased
        self._open = open_partitions
        self._reading = asyncio.Lock()
        self._known: OrderedDict[_Asked, tuple[float, Evidence]] = OrderedDict()
        self._persons = PersonHashes(settings.person_key.reveal()) if settings.pseudonyms else None

    async def of(self, user: str, partition: int, scope: ScopeName, window_ms: tuple[int, int]) -> Evidence:
        """The user's events with the most impressions, in a scope and within a window (start, end) of event time."""
        asked = _Asked(user, partition, scope, window_ms)
        async with self._reading:
            known = self._known.get(asked)
            if known is None or known[0] < monotonic():
                evidence = await self._read(asked)
                self._known[asked] = (monotonic() + _REMEMBERED_S, evidence)
                while len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
                return self._without_erased(evidence)
            return self._without_erased(known[1])

    async def _read(self, asked: _Asked) -> Evidence:
        kinds: dict[str, type[Event]] = dict(zip(self._settings.input_topics, (Post, Share), strict=True))
        try:
            async with asyncio.timeout(_LONGEST_S):
                retractions = await self._of_topic(self._settings.retractions_topic, self._taken_back, asked)
                gone = {(one.of == "share", str(one.event_id)) for one in retractions.found}
                found = []
                for topic, kind in kinds.items():
                    theirs = await self._of_topic(topic, partial(self._theirs, kind), asked)
                    left = [one for one in theirs.found if (kind is Share, str(one.event_id)) not in gone]
                    why_not = theirs.why_not or retractions.why_not
                    found.append(_Read(kind, _each_once(left), theirs.records, why_not))
        except (KafkaError, OSError) as error:  # a TimeoutError is one
            found = [_Read(Post, [], 0, f"Kafka does not answer ({error or type(error).__name__})")]
        return self._evidence(found)

    async def _of_topic(
        self, name: str, take: Callable[[Iterable[Record], _Asked], Iterable[T]], asked: _Asked
    ) -> _Taken[T]:
        """What is taken of one partition, of the newest records only where they are very many."""
        number = asked.partition
        async with self._open(name, (number,)) as topic:
            there = (await topic.bounds())[number]
            early_ms = asked.window_ms[0] - round(self._settings.max_ahead_s * 1000)
            # Nothing is on Kafka before it has happened, but for clocks that are ahead.
            start = max(await topic.offset_at(number, max(early_ms, 0)) or there.first, there.first)
            newest = max(there.end - _MOST_RECORDS, there.first)
            why_not = ""
            if start == there.first > 0:
                why_not = f"Kafka may have deleted some of {name}: the oldest record that it has may be too young"
            if newest > start:
                why_not = f"only the newest {_MOST_RECORDS:,} records of {name} were read"
            start = max(start, newest)
            topic.seek(number, start)
            events: list[T] = []
            deadline_s = monotonic() + _PATIENCE_S
            while (reached := await topic.position(number)) < there.end:
                if monotonic() > deadline_s:
                    why_not = f"reading {name} took too long: the newest of it is missing"
                    break
                async for _, records in topic.fetch():
                    events += take(records, asked)
                    await asyncio.sleep(0)
            return _Taken(events, max(reached - start, 0), why_not)

    def _taken_back(self, records: Iterable[Record], asked: _Asked) -> Iterator[Retract]:
        """The user's events that were taken back."""
        values = [record.value for record in records if self._is_theirs(record.key, asked.user)]
        decoded = decode_retractions(values, self._settings.max_event_bytes, self._settings.max_id_bytes)
        return (event for event in decoded.events if isinstance(event, Retract))

    def _theirs(self, kind: type[Event], records: Iterable[Record], asked: _Asked) -> Iterator[Event]:
        """The events of the user that count in the scope and window."""
        theirs = [record for record in records if self._is_theirs(record.key, asked.user)]
        start_ms, end_ms = asked.window_ms
        values = [record.value for record in theirs]
        decoded = decode(values, kind, self._settings.max_event_bytes, self._settings.max_id_bytes)
        columns, (events, places, _) = credit_all(decoded, kind, ViewRates())
        for event, user, ts_ms, place in zip(events, columns.users, columns.ts_ms.tolist(), places, strict=True):
            if user.encode() != theirs[place].key or self._is_ahead(ts_ms, theirs[place]):
                continue  # it was not counted, but went to the dead letters
            counts = asked.scope.topic == ALL_TOPICS or asked.scope.topic in map(normal_topic, event.topics or ())
            population = event.population or DEFAULT_POPULATION
            if counts and population == asked.scope.population and start_ms <= ts_ms < end_ms:
                yield event

    def _is_ahead(self, ts_ms: int, record: Record) -> bool:
        """Whether the event had not happened when it came to Kafka, by more than clocks may differ."""
        return 0 < record.timestamp < ts_ms - self._settings.max_ahead_s * 1000

    def _is_theirs(self, key: bytes | None, user: str) -> bool:
        if key is None:
            return False
        if self._persons is None:
            return key == user.encode()
        return self._persons.pseudonym(key.decode(errors="replace")) == user

    def _evidence(self, found: list[_Read]) -> Evidence:
        posts, shares = (
            [self._shown(*row) for read in found if read.kind is kind for row in self._best(read)]
            for kind in (Post, Share)
        )
        missing = [read.why_not for read in found if read.why_not]
        return Evidence(
            posts=posts,
            shares=shares,
            found=sum(len(read.events) for read in found),
            read_records=sum(read.records for read in found),
            is_complete=not missing,
            note="; ".join(missing),
        )

    def _best(self, read: _Read) -> list[tuple[Event, int, int | None]]:
        """(event, time in ms, impressions or None) of those with the most impressions."""
        rates = ViewRates(self._settings.view_rate, self._settings.channel_view_rates)
        columns = credit(read.events, read.kind, rates)
        known = zip(columns.impressions.tolist(), columns.unknown.tolist(), strict=True)
        impressions = [None if is_unknown else count for count, is_unknown in known]
        rows = zip(read.events, columns.ts_ms.tolist(), impressions, strict=True)
        return nlargest(_SHOWN, rows, key=lambda row: (row[2] if row[2] is not None else -1, row[1]))

    def _shown(self, event: Event, ts_ms: int, impressions: int | None) -> Contribution:
        known = self._persons is None  # ids of posts lead back to people
        author = event.author_id if isinstance(event, Share) else None
        return Contribution(
            ts=ts_ms,
            kind=event.kind or ("share" if isinstance(event, Share) else "post"),
            impressions=impressions,
            topics=list(event.topics or ()),
            post_id=str(event.post_id) if known and event.post_id is not None else None,
            author_id=str(author) if known and author is not None else None,
            channel=event.channel,
        )

    def _without_erased(self, evidence: Evidence) -> Evidence:
        """Without the names of authors who were erased: their posts may have been shared by others."""
        authors = {shared.author_id for shared in evidence.shares if shared.author_id is not None}
        if not (gone := self._erased(authors)):
            return evidence
        shares = [
            msgspec.structs.replace(shared, author_id=None, post_id=None) if shared.author_id in gone else shared
            for shared in evidence.shares
        ]
        return msgspec.structs.replace(evidence, shares=shares)


def _each_once(events: list[Event]) -> list[Event]:
    """The events, which are of one user and kind, without those that came again."""
    return list({str(event.event_id): event for event in reversed(events)}.values())[::-1]
