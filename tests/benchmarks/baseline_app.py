"""The baseline: influence totals the way Faust's documentation shows, one event at a time, in two tables.

It counts posts and impressions by topic and user from the same records as the tracker. It has no window,
deduplication, late events, cut over all users, flags, or exact counts after a crash.

    IDIOMATIC_BROKER=kafka://127.0.0.1:9092 python tests/benchmarks/baseline_app.py worker -l info --without-web
"""

import os
from collections.abc import AsyncIterable

import faust

PARTITIONS = 8

app = faust.App(
    "idiomatic",
    broker=os.environ.get("IDIOMATIC_BROKER", "kafka://127.0.0.1:9092"),
    store="memory://",
    topic_partitions=PARTITIONS,
    cython_optimizations=True,
    broker_session_timeout=6,  # the worker joins in seconds; no other setting is changed
)


class Event(faust.Record, serializer="json"):
    """A post or a share; other fields of the JSON are ignored."""

    event_id: str
    user_id: str
    topics: list[str]
    audience: int = 0


posts_topic = app.topic("influence.posts", value_type=Event)
shares_topic = app.topic("influence.shares", value_type=Event)
posts = app.Table("posts", default=int)
impressions = app.Table("impressions", default=int)


@app.agent(posts_topic)
async def count_posts(events: AsyncIterable[Event]) -> None:
    """A post counts for its author, in every topic it names."""
    async for event in events:
        for topic in event.topics:
            posts[f"{topic}/{event.user_id}"] += 1
            impressions[f"{topic}/{event.user_id}"] += event.audience


@app.agent(shares_topic)
async def count_shares(events: AsyncIterable[Event]) -> None:
    """The impressions of a share are the sharer's."""
    async for event in events:
        for topic in event.topics:
            impressions[f"{topic}/{event.user_id}"] += event.audience


if __name__ == "__main__":
    app.main()
