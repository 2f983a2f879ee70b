"""What the records of each topic are, as AsyncAPI messages: key, headers, value, examples."""

import json
from typing import Any, NamedTuple

from stream_app.core.events.dead_letter import DeadLetter, Origin, replayed_headers
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings
from tests.tools.schemas import FOLDER, headers

BINDING = "0.5.0"
"""Version of AsyncAPI's bindings for Kafka."""

_SETTINGS = Settings()
_NOTHING = {"type": "null"}
_USER = {"type": "string", "minLength": 1, "description": "The user_id as text, in UTF-8."}
_CALLER = {"type": "string", "minLength": 1, "description": "Who looked."}
_SINK = {"type": "string", "minLength": 1, "description": "The name of the sink in the alerts file."}
_AS_IT_CAME = {"type": ["string", "null"], "description": "As it came; none where pseudonyms are on."}

Message = dict[str, Any]


class Records(NamedTuple):
    """The records of a topic."""

    channel: str
    """The name of the topic in the document, whatever its name in Kafka."""
    messages: dict[str, Message]
    """Each record is exactly one of these."""


def records_of_topics() -> dict[str, Records]:
    """What is on each topic, by its default name."""
    s = _SETTINGS
    segments, standings = changelogs_of(s)
    scope = _array_key("topic, population, role", "tea", "all", "connector")
    standing = _array_key("user_id, topic, population, role", "ann", "tea", "all", "connector")
    no_cut = _tombstone(scope, "The scope has no users now.")
    no_standing = _tombstone(standing, "No standing any more.")
    return {
        s.posts_topic: Records("posts", {"post": _event(s.posts_topic, "post")}),
        s.shares_topic: Records("shares", {"share": _event(s.shares_topic, "share")}),
        s.retractions_topic: Records("retractions", {"retraction": _event(s.retractions_topic, "retraction")}),
        s.flags_topic: Records("flags", {"flag": _json_message(s.flags_topic, "flag", _USER)}),
        s.cuts_topic: Records("cuts", {"cut": _json_message(s.cuts_topic, "cut", scope), "noCut": no_cut}),
        standings: Records(
            "standings", {"standing": _json_message(standings, "flag", standing), "noStanding": no_standing}
        ),
        s.dead_letters_topic: Records("deadLetters", {"deadLetter": _dead_letter(), "replayed": _replayed()}),
        s.late_topic: Records("late", {"lateEvent": _late_event(), "replayed": _replayed()}),
        s.curves_topic: Records("curves", {"curves": _packed("`cut/…`, `status/…`, `past/…` or `session/…`")}),
        s.additions_topic: Records("additions", {"additions": _packed(None)}),
        s.credits_topic: Records("credits", {"credits": _packed(None)}),
        segments: Records("segments", {"segment": _packed("Packed.")}),
        s.erasures_topic: Records("erasures", {"erasure": _erasure()}),
        s.audit_topic: Records("audit", {"look": _json_message(s.audit_topic, "look", _CALLER)}),
        s.alerts_topic: Records("alerts", {"alertState": _alert_state()}),
        s.undelivered_topic: Records(
            "undelivered", {"undelivered": _json_message(s.undelivered_topic, "undelivered", _SINK)}
        ),
    }


def _message(key: dict[str, Any], payload: dict[str, Any], **more: Any) -> Message:
    return {**more, "payload": payload, "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}}}


def _schema(topic: str) -> dict[str, str]:
    return {"$ref": f"{topic}.schema.json"}


def _array_key(items: str, *example: str) -> dict[str, Any]:
    return {
        "type": "string",
        "contentMediaType": "application/json",
        "description": f"A JSON array without blanks: {items}.",
        "examples": [json.dumps(example, separators=(",", ":"))],
    }


def _event(topic: str, kind: str) -> Message:
    return _json_message(topic, kind, _USER) | {"headers": headers.of_an_event()}


def _json_message(topic: str, kind: str, key: dict[str, Any]) -> Message:
    return _message(key, _schema(topic), examples=[{"payload": json.loads(_sample(kind))}])


def _tombstone(key: dict[str, Any], what: str) -> Message:
    return _message(key, _NOTHING, summary=f"A tombstone. {what}", examples=[{"payload": None}])


def _dead_letter() -> Message:
    value = b"ann posted"
    (rejected,) = decode([value], Post, _SETTINGS.max_event_bytes).rejected
    dead_letter = DeadLetter(Origin(_SETTINGS.posts_topic, 3, 1042), b"ann", value, rejected.reason, rejected.message)
    return _message(
        _AS_IT_CAME,
        {"description": "Any bytes, as they came; no value where it came without one or pseudonyms are on."},
        summary="A record that cannot be counted.",
        contentType="application/octet-stream",
        headers=headers.of_a_letter(),
        examples=[{"headers": _readable(dead_letter.headers()), "payload": value.decode()}],
    )


def _late_event() -> Message:
    dead_letter = _late_letter()
    events = [_schema(topic) for topic in _SETTINGS.source_topics]
    return _message(
        _AS_IT_CAME,
        {"anyOf": [*events, _NOTHING], "description": "The event as it came; no value where pseudonyms are on."},
        summary="An event older than the window.",
        headers=headers.of_a_letter(),
        examples=[{"headers": _readable(dead_letter.headers()), "payload": json.loads(dead_letter.value or b"")}],
    )


def _replayed() -> Message:
    return _message(
        _NOTHING,
        {"type": "string", "maxLength": 0, "description": "Empty."},
        summary="Says of a record before it that it has been replayed. Pass over it.",
        contentType="application/octet-stream",
        headers=headers.of_a_mark(),
        examples=[{"headers": _readable(replayed_headers(_late_letter().identity)), "payload": ""}],
    )


def _late_letter() -> DeadLetter:
    message = f"older than the window of {_SETTINGS.window_s:g} s"
    return DeadLetter(Origin(_SETTINGS.shares_topic, 0, 17), b"bob", _sample("share"), "late", message)


def _packed(key: str | None) -> Message:
    deletion = "; no value deletes the key" if key else ""
    return _message(
        {"type": "string", "description": key} if key else _NOTHING,
        {"description": f"MessagePack, for the workers alone{deletion}."},
        contentType="application/msgpack",
    )


def _erasure() -> Message:
    key = {"type": "string", "description": "A keyed hash of a user_id; or `check`, which shows the key of the hashes."}
    return _message(
        key,
        {
            "type": ["object", "null"],
            "description": "When the user was erased, or opted out; or the check. No value: back in.",
        },
    )


def _alert_state() -> Message:
    key = {"type": "string", "description": "`flag/…`, `digest/…`, `positions` or `owner`."}
    return _message(key, {"type": ["object", "null"], "description": "What is known of it; no value deletes the key."})


def _readable(pairs: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in pairs}


def _sample(kind: str) -> bytes:
    """The first good sample of a kind."""
    return (FOLDER / "samples" / f"{kind}.good.jsonl").read_bytes().splitlines()[0]
