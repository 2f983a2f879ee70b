"""The kinds of incoming events as msgspec types. Their JSON Schemas are generated from here."""

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream_app.core.messages import DEFAULT_POPULATION

MAX_ID_BYTES = 256
"""Bytes of an id, topic or population in UTF-8; a setting may make it less."""
MOST_PEOPLE = 100_000_000_000
"""Limit of `audience` and `impressions`: over ten times the world population, and sums stay far below 2^63."""

Id = Annotated[str, Meta(min_length=1, max_length=256)] | int
Name = Annotated[str, Meta(min_length=1, max_length=100)]
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999. What is plausible is a setting, and far less."""
Time = (
    Annotated[int, Meta(ge=EARLIEST_MS, le=LATEST_MS, description="epoch ms")]
    | Annotated[dt.datetime, Meta(tz=True, description="RFC 3339 with a zone")]
)
People = (
    Annotated[int, Meta(ge=-MOST_PEOPLE, le=MOST_PEOPLE)]
    | Annotated[float, Meta(ge=-MOST_PEOPLE, le=MOST_PEOPLE)]
    | None
)


TextHash = Annotated[
    Id | None,
    Meta(description="A keyed hash of the normalised text, by which equal texts are found."),
]


class Post(msgspec.Struct, gc=False, kw_only=True):
    """An influence post: a post, comment, review, reply, quote or message by a user."""

    event_id: Annotated[
        Id, Meta(description="One for each post of the user: the same again is a re-delivery and counts once.")
    ]
    ts: Annotated[Time, Meta(description="When it happened: epoch ms, or RFC 3339 with a zone.")]
    user_id: Annotated[Id, Meta(description="Who did it. Also the key of the Kafka record.")]
    post_id: Id | None = None
    kind: Literal["post", "comment", "review", "reply", "quote", "message"] | None = "post"
    topics: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_ID_BYTES)], ...] | None,
        Meta(description="Products, services, hashtags: #Tea and tea are one topic."),
    ] = ()
    audience: Annotated[
        People, Meta(description="People it was shown to, such as followers; negative or absent: unknown.")
    ] = None
    impressions: Annotated[People, Meta(description="Measured impressions; wins over audience × view rate.")] = None
    population: Annotated[Name | None, Meta(description="Who is ranked together: consumer, employee …")] = (
        DEFAULT_POPULATION
    )
    channel: Name | None = None
    text_hash: TextHash = None


class Share(msgspec.Struct, gc=False, kw_only=True):
    """A share of another user's post. Its impressions are credited to the user who shares."""

    event_id: Annotated[
        Id, Meta(description="One for each share of the user: the same again is a re-delivery and counts once.")
    ]
    ts: Annotated[Time, Meta(description="When it happened: epoch ms, or RFC 3339 with a zone.")]
    user_id: Annotated[Id, Meta(description="Who shared. Also the key of the Kafka record.")]
    post_id: Annotated[Id | None, Meta(description="The post that was shared.")] = None
    author_id: Annotated[Id | None, Meta(description="Whose post was shared.")] = None
    kind: Literal["share"] | None = "share"
    topics: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_ID_BYTES)], ...] | None,
        Meta(description="Products, services, hashtags: #Tea and tea are one topic."),
    ] = ()
    audience: Annotated[
        People, Meta(description="People it was shown to, such as followers; negative or absent: unknown.")
    ] = None
    impressions: Annotated[People, Meta(description="Measured impressions; wins over audience × view rate.")] = None
    population: Annotated[Name | None, Meta(description="Who is ranked together: consumer, employee …")] = (
        DEFAULT_POPULATION
    )
    channel: Name | None = None
    via_id: Annotated[Id | None, Meta(description="Through whose share the user came to it.")] = None
    text_hash: TextHash = None


class Retract(msgspec.Struct, gc=False, kw_only=True, tag_field="kind", tag="retract"):
    """Takes back a post or a share, as if it had never been: it was deleted, or the platform banned it."""

    event_id: Annotated[Id, Meta(description="The event_id of the post or share.")]
    ts: Annotated[Time, Meta(description="When it was taken back: not before the post or share happened.")]
    user_id: Annotated[Id, Meta(description="Whose post or share it was. Also the key of the Kafka record.")]
    of: Annotated[
        Literal["post", "comment", "review", "reply", "quote", "message", "share"],
        Meta(description="Its kind: a post and a share may have one event_id. Every kind but `share` is a post."),
    ]


class Erase(msgspec.Struct, gc=False, kw_only=True, tag_field="kind", tag="erase"):
    """An account that was deleted: all that its user did is forgotten."""

    user_id: Annotated[Id, Meta(description="Who is gone. Also the key of the Kafka record.")]
    ts: Annotated[Time, Meta(description="When the account was deleted.")]


Event = Post | Share
Retraction = Retract | Erase
