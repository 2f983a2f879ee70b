"""The AsyncAPI document as a reader of the topics has it: its channels, and which of their messages a record is."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from tests.tools.schemas import FOLDER
from tests.tools.schemas.asyncapi import FILE_NAME

DOCUMENT: dict[str, Any] = json.loads((FOLDER / FILE_NAME).read_text())
CHANNELS: dict[str, Any] = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
"""By the name of the topic."""


class Parts(NamedTuple):
    """A record, its parts in the form that the document speaks of."""

    key: str | None
    headers: Mapping[str, str]
    payload: Any


def _retrieved(uri: str) -> Resource[Any]:
    return Resource.from_contents(json.loads((FOLDER / uri).read_text()), default_specification=DRAFT7)


REGISTRY: Registry[Any] = Registry(retrieve=_retrieved)  # type: ignore[call-arg]  # attrs names it so
"""Finds the document, and what it refers to beside it."""


def problems(schema: Mapping[str, Any] | None, instance: object) -> list[str]:
    """Why a schema of the document refuses something; nothing where there is no schema."""
    if schema is None:
        return []
    return [error.message for error in Draft7Validator(schema, registry=REGISTRY).iter_errors(instance)]


def messages_of(topic: str, record: Any) -> list[str]:
    """The names of the messages of a topic that a record of Kafka is: should be one."""
    return [
        name for name, message in CHANNELS[topic]["messages"].items() if not any(_problems(message, record).values())
    ]


def problems_of(topic: str, record: Any) -> dict[str, dict[str, list[str]]]:
    """Why a record is none of the messages of its topic, by message and part."""
    return {name: _problems(message, record) for name, message in CHANNELS[topic]["messages"].items()}


def _problems(message: dict[str, Any], record: Any) -> dict[str, list[str]]:
    parts = _parts(message, record)
    return {
        "key": problems(message["bindings"]["kafka"]["key"], parts.key),
        "headers": problems(message.get("headers"), parts.headers),
        "payload": problems(message["payload"], parts.payload),
    }


def _parts(message: dict[str, Any], record: Any) -> Parts:
    key = None if record.key is None else record.key.decode(errors="replace")
    return Parts(key, {name: value.decode() for name, value in record.headers}, _payload(message, record.value))


def _payload(message: dict[str, Any], value: bytes | None) -> Any:
    if value is None:
        return None
    if message.get("contentType", DOCUMENT["defaultContentType"]) != "application/json":
        return value.decode(errors="replace")
    try:
        return json.loads(value)
    except ValueError:
        return value  # which no schema takes
