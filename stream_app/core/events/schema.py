"""Input: the two kinds of events, and Kafka records decoded to them; what cannot be read becomes a `Rejected`."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from stream_app.core.messages import DEFAULT_POPULATION

MOST_TOPICS = 100
MOST_PEOPLE = 100_000_000_000
"""Bound of `audience` and `impressions`: more than ten times everybody, and sums stay far below 2^63."""

Id = Annotated[str, Meta(min_length=1, max_length=256)] | int
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Time = (
    Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999, description="epoch ms")]
    | Annotated[dt.datetime, Meta(tz=True, description="RFC 3339 with a zone")]
)
People = (
    Annotated[int, Meta(ge=-MOST_PEOPLE, le=MOST_PEOPLE)]
    | Annotated[float, Meta(ge=-MOST_PEOPLE, le=MOST_PEOPLE)]
    | None
)


class Post(msgspec.Struct, gc=False, kw_only=True):
    """An influence post: a post, comment, review, reply, quote or message by a user."""

    event_id: Annotated[Id, Meta(description="The same id again is a re-delivery and counts once.")]
    ts: Annotated[Time, Meta(description="When it happened: epoch ms, or RFC 3339 with a zone.")]
    user_id: Annotated[Id, Meta(description="Who did it. Also the key of the Kafka record.")]
    post_id: Id | None = None
    kind: Literal["post", "comment", "review", "reply", "quote", "message"] = "post"
    topics: Annotated[
        tuple[Annotated[str, Meta(max_length=200)], ...],
        Meta(
            max_length=MOST_TOPICS, description="Products, services, hashtags: folded to lower case, trimmed, distinct."
        ),
    ] = ()
    audience: Annotated[
        People, Meta(description="People it was shown to, such as followers; negative or absent: unknown.")
    ] = None
    impressions: Annotated[People, Meta(description="Measured impressions; wins over audience × view rate.")] = None
    population: Annotated[Name, Meta(description="Who is ranked together: consumer, employee …")] = DEFAULT_POPULATION
    channel: Name | None = None


class Share(msgspec.Struct, gc=False, kw_only=True):
    """A share of somebody's post. Its impressions belong to the one who shares."""

    event_id: Annotated[Id, Meta(description="The same id again is a re-delivery and counts once.")]
    ts: Annotated[Time, Meta(description="When it happened: epoch ms, or RFC 3339 with a zone.")]
    user_id: Annotated[Id, Meta(description="Who shared. Also the key of the Kafka record.")]
    post_id: Annotated[Id | None, Meta(description="The post that was shared.")] = None
    author_id: Annotated[Id | None, Meta(description="Whose post was shared.")] = None
    kind: Literal["share"] = "share"
    topics: Annotated[
        tuple[Annotated[str, Meta(max_length=200)], ...],
        Meta(
            max_length=MOST_TOPICS, description="Products, services, hashtags: folded to lower case, trimmed, distinct."
        ),
    ] = ()
    audience: Annotated[
        People, Meta(description="People it was shown to, such as followers; negative or absent: unknown.")
    ] = None
    impressions: Annotated[People, Meta(description="Measured impressions; wins over audience × view rate.")] = None
    population: Annotated[Name, Meta(description="Who is ranked together: consumer, employee …")] = DEFAULT_POPULATION
    channel: Name | None = None


Event = Post | Share


class Rejected(NamedTuple):
    """A record that is not counted, and why."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    """Its place in the batch."""
    reason: str
    """A short fixed name, fit for a metric label."""
    message: str
    """What is wrong and what to do."""


class Decoded(NamedTuple):
    """The readable records of a batch as events, and their places in it; the rest as `rejected`."""

    events: Sequence[Event]
    indices: Sequence[int]
    rejected: list[Rejected]


_DECODERS: dict[type[Event], msgspec.json.Decoder[Event]] = {kind: msgspec.json.Decoder(kind) for kind in (Post, Share)}


def decode(values: Sequence[bytes | None], kind: type[Event], max_bytes: int) -> Decoded:
    """The events in `values` (JSON, one a record). Never raises for what a record holds."""
    good = _decode_good(values, kind, max_bytes)
    if good is not None:
        return Decoded(good, range(len(good)), [])
    decoder = _DECODERS[kind]
    events: list[Event] = []
    indices: list[int] = []
    rejected: list[Rejected] = []
    for index, value in enumerate(values):
        try:
            _check_size(value, max_bytes)
            events.append(decoder.decode(value or b""))
            indices.append(index)
        except _BadRecord as error:
            rejected.append(Rejected(index, error.reason, str(error)))
        except msgspec.ValidationError as error:
            rejected.append(Rejected(index, "invalid", f"{error}; see the schema of {kind.__name__.lower()} events"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejected.append(Rejected(index, "not-json", f"not a JSON object in UTF-8: {error}"))
    return Decoded(events, indices, rejected)


class _BadRecord(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _check_size(value: bytes | None, max_bytes: int) -> None:
    if not value:
        raise _BadRecord("empty", "the record has no value; an event is a JSON object")
    if len(value) > max_bytes:
        message = f"{len(value)} bytes, more than max_event_bytes ({max_bytes}): raise STREAM_APP_MAX_EVENT_BYTES?"
        raise _BadRecord("oversized", message)


def _decode_good(values: Sequence[bytes | None], kind: type[Event], max_bytes: int) -> list[Event] | None:
    """The events when every record is one; None where one needs a look of its own."""
    try:
        if max(map(len, values), default=0) > max_bytes:  # type: ignore[arg-type]  # a None raises TypeError
            return None
        return list(map(_DECODERS[kind].decode, values))  # type: ignore[arg-type]
    except (TypeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
