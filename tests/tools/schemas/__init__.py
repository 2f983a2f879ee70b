"""The JSON Schemas of the topics, generated from the message types."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from stream_app.core.events.schema import Post, Retraction, Share
from stream_app.core.messages import Cut, Flag, Look, Undelivered
from stream_app.settings import Settings

FOLDER = Path(__file__).parents[3] / "schemas"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DAY = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
_ZONE = "([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
TIME_PATTERN = f"^{_DAY}[Tt ]{_CLOCK}{_ZONE}$"
"""What the decoder takes for a time, but for days that their month does not have. `format` alone asserts nothing."""


class TopicSchema(NamedTuple):
    """What the records of a topic are."""

    topic: str
    kind: Any
    """A type, or several of which each record is one."""
    title: str
    note: str
    """Said after the description of the type."""

    @property
    def file_name(self) -> str:
        """Name of the file in schemas/."""
        return f"{self.topic}.schema.json"

    @property
    def sample_name(self) -> str:
        """Name of its samples in schemas/samples/."""
        return getattr(self.kind, "__name__", self.title).lower()


def topic_schemas() -> list[TopicSchema]:
    """Every topic with a schema, under its default name."""
    names = Settings()
    scope_key = "a JSON array: topic, population, role"
    return [
        TopicSchema(names.posts_topic, Post, "Post", "The key is the user_id as text, in UTF-8."),
        TopicSchema(names.shares_topic, Share, "Share", "The key is the user_id as text, in UTF-8."),
        TopicSchema(names.retractions_topic, Retraction, "Retraction", "The key is the user_id as text, in UTF-8."),
        TopicSchema(names.flags_topic, Flag, "Flag", "The key is the user_id."),
        TopicSchema(
            names.cuts_topic, Cut, "Cut", f"The key is {scope_key}; no value (a tombstone): the scope has no users now."
        ),
        TopicSchema(
            names.standings_topic,
            Flag,
            "Standing",
            "The key is a JSON array: user_id, topic, population, role; no value (a tombstone): no standing any more.",
        ),
        TopicSchema(names.audit_topic, Look, "Look", "The key is the caller."),
        TopicSchema(names.undelivered_topic, Undelivered, "Undelivered", "The key is the name of the sink."),
    ]


def schema_of(topic: TopicSchema) -> dict[str, Any]:
    """The JSON Schema of the records of a topic."""
    kinds = get_args(topic.kind) or (topic.kind,)
    _, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for kind in kinds:
        body = components[kind.__name__]
        for name, text in _field_docs(kind):
            body["properties"][name].setdefault("description", text)
        _add_times(body["properties"].get("ts", {}).get("anyOf", []))
    if len(kinds) == 1:
        body = components.pop(kinds[0].__name__)
    else:
        said = " Or: ".join(components[kind.__name__]["description"] for kind in kinds)
        body = {"description": said, "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]}
    head = {
        "$schema": _DIALECT,
        "$id": f"urn:stream-app:{topic.topic}",
        "title": topic.title,
        "description": f"{body['description']} {topic.note}",
    }
    schema = head | {name: part for name, part in body.items() if name not in head}
    return schema | ({"$defs": components} if components else {})


def _add_times(times: list[dict[str, Any]]) -> None:
    """Say what else the decoder takes for a time."""
    for choice in times:
        if choice.get("format") == "date-time":
            choice["pattern"] = TIME_PATTERN
    if times:
        leap = TIME_PATTERN.replace(":[0-5][0-9]:[0-5][0-9]", ":[0-5][0-9]:60")
        times.append({"description": "epoch ms in quotes", "type": "string", "pattern": "^[0-9]{1,14}$"})
        times.append({"description": "RFC 3339, in a leap second", "type": "string", "pattern": leap})


def files() -> dict[str, str]:
    """The text of every schema file, by its name."""
    return {
        topic.file_name: json.dumps(schema_of(topic), indent=2, ensure_ascii=False) + "\n" for topic in topic_schemas()
    }


def _field_docs(kind: type) -> Iterator[tuple[str, str]]:
    """The strings below the fields of a type, which say what they mean."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    for field, below in pairwise(getattr(definition, "body", [])):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
