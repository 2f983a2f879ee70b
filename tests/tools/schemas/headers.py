"""The headers of records that are set aside and replayed, as JSON Schema."""

from typing import Any

from stream_app.core.events.dead_letter import HEADER

_ORIGIN = {
    "topic": {"type": "string", "description": "Topic it came from."},
    "partition": {"type": "string", "pattern": "^[0-9]{1,9}$", "description": "Partition, in decimal."},
    "offset": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Offset, in decimal."},
}
_WHY = {
    "exception": {"type": "string", "description": "The reason, a short fixed name: schemas/README.md lists them."},
    "message": {"type": "string", "description": "What is wrong, and what to do."},
}
_ATTEMPTS = {
    "attempts": {
        "type": "string",
        "pattern": "^[0-9]{1,9}$",
        "description": "How often the record has been replayed, in decimal; absent where it never was.",
    }
}
_SHORTENED = {
    "key.bytes": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Length of the key, if shortened."},
    "value.bytes": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Length of the value, if shortened."},
    "digest": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "A hash of key and value, if shortened."},
    "head": {"type": "string", "description": "The first bytes of the value, if shortened."},
}
_SHARED = {
    "last": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Offset of the last record, if shared."},
    "reasons": {"type": "string", "description": "Number of records by reason, as a JSON object, if shared."},
    "offsets": {"type": "string", "description": "First and last offset of each run, as a JSON array, if shared."},
}
_DIGEST = {
    "replayed": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "A hash of key and value of the record."}
}


def of_a_letter() -> dict[str, Any]:
    """Of a record that is set aside."""
    return _schema(required=_ORIGIN | _WHY, optional=_ATTEMPTS | _SHORTENED | _SHARED)


def of_an_event() -> dict[str, Any]:
    """Of an event that may have been replayed."""
    return _schema(required={}, optional=_ATTEMPTS)


def of_a_mark() -> dict[str, Any]:
    """Of a record that says of another: it has been replayed."""
    return _schema(required=_ORIGIN | _DIGEST, optional={})


def _schema(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    properties = {HEADER + name: what for name, what in (required | optional).items()}
    schema = {"type": "object", "properties": properties, "required": [HEADER + name for name in required]}
    return {name: what for name, what in schema.items() if what}
