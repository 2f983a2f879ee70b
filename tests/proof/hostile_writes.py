"""Records that make what is written of them large: long names, names of one home, huge values, endless bad ones."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import count, islice

from aiokafka import AIOKafkaProducer

from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.state.scopes import ScopeName
from tests.proof.contents import HOUR_MS, PARTITIONS, START_MS, Contents, Record

_NAME = "\U0001f600"
_NAME_BYTES = 256
_TOPICS_A_POST = 30
_TS_MS = START_MS + 13 * HOUR_MS
"""In the window at the end, and late at no time."""
_BATCH_BYTES = 900_000
_HUGE = (4_100_000, 9_500_000)


def long_name(*parts: object) -> str:
    """A name of at most 256 bytes that begins with `parts`, in characters of four bytes."""
    head = "-".join(map(str, parts)) + "-"
    return head + _NAME * ((_NAME_BYTES - len(head)) // 4)


def with_long_names(contents: Contents, users: int, topics: int) -> tuple[Contents, list[Record]]:
    """The contents with posts of so many users, each about a topic of its own, and of so many topics of one home."""
    totals = dict(contents.totals)
    records = []
    for number, user in enumerate(islice(_users_of_one_partition(), users)):
        records.append(_post(totals, user, [long_name("topic", number)], number))
    of_one_home = list(islice(_topics_of_one_home(), topics))
    for number, start in enumerate(range(0, topics, _TOPICS_A_POST)):
        user = long_name("wide", number)
        records.append(_post(totals, user, of_one_home[start : start + _TOPICS_A_POST], number))
    results = dict(contents.results)
    results["applied"] += len(records)
    return contents._replace(totals=totals, results=results), records


def huge() -> list[Record]:
    """Records that are far larger than any message; they arrive compressed."""
    return [
        Record(False, number, b"huge-%d" % number, b'{"event_id":"' + b"x" * size)
        for number, size in enumerate((*_HUGE, 1_100_000))
    ] + [Record(False, 5, b"k" * 2_000_000, b"{")]


def endless(records: int) -> list[Record]:
    """Records that take hardly a byte each, of one partition, none of which is an event."""
    return [Record(True, 6, None, b"x")] * records


def produce(brokers: str, topics: tuple[str, str], records: Iterable[Record]) -> None:
    """Send the records, compressed, in batches of about a megabyte before that."""
    asyncio.run(_produce(brokers, topics, records))


async def _produce(brokers: str, topics: tuple[str, str], records: Iterable[Record]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers.split(","), acks="all", compression_type="gzip", max_batch_size=_BATCH_BYTES
    )
    await producer.start()
    try:
        places: dict[tuple[str, int], list[Record]] = {}
        for record in records:
            places.setdefault((topics[record.source], record.partition), []).append(record)
        for (topic, partition), found in places.items():
            batch = producer.create_batch()
            for record in found:
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    await (await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=record.value, timestamp=None)
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def _post(totals: dict[tuple[str, str], tuple[int, int]], user: str, topics: list[str], number: int) -> Record:
    for topic in ("*", *topics):
        totals[topic, user] = (1, 7)
    named = ",".join(f'"{topic}"' for topic in topics)
    value = f'{{"event_id":"{user}","ts":{_TS_MS + number},"user_id":"{user}","topics":[{named}],"audience":7}}'
    return Record(False, _home_of(user), user.encode(), value.encode())


def _home_of(user: str) -> int:
    return int(partitions_of([user.encode()], PARTITIONS)[0])


def _users_of_one_partition() -> Iterator[str]:
    for start in count(0, 10_000):
        names = [long_name("user", number) for number in range(start, start + 10_000)]
        homes = partitions_of([name.encode() for name in names], PARTITIONS).tolist()
        yield from (name for name, home in zip(names, homes, strict=True) if home == 3)


def _topics_of_one_home() -> Iterator[str]:
    return (name for name in map(long_name, count(1_000_000)) if home_of(ScopeName("all", name), PARTITIONS) == 1)
