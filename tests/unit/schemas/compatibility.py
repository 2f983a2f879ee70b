"""What a change of a JSON Schema breaks, found by its structure: of inputs for producers, of outputs for consumers."""

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]

LEAST = {"minimum": -inf, "exclusiveMinimum": -inf, "minLength": 0, "minItems": 0}
MOST = {"maximum": inf, "exclusiveMaximum": inf, "maxLength": inf, "maxItems": inf}
"""What they are where a schema does not say it."""
OTHER = {"pattern": None, "format": None, "multipleOf": None, "uniqueItems": False, "additionalProperties": True}
NOTES = {"$schema", "$id", "title", "description", "examples", "contentMediaType", "default"}
"""They refuse nothing."""
STRUCTURE = {"type", "enum", "const", "anyOf", "properties", "required", "items"}

TODAY, BEFORE = "today's schema", "the schema of before"


class Break(NamedTuple):
    """One thing that is not as it was."""

    field: str
    """Such as `topics[]`, empty for the message itself."""
    why: str

    def __str__(self) -> str:
        return f"{self.field or 'the message'}: {self.why}"


def broken_for_producers(before: Schema, today: Schema) -> list[Break]:
    """What they may send by the schema of before that is refused, ignored or taken for something else today."""
    before, today = _plain(before, before), _plain(today, today)
    return [*_changed(before, today, ""), *_refused(before, today, "", TODAY)]


def broken_for_consumers(before: Schema, today: Schema) -> list[Break]:
    """What they do not find or understand any more; a topic holds records of before and of today.

    So records of today have to pass the schema of before, and records of before that of today.
    """
    forward = _refused(_plain(today, today), _plain(before, before), "", BEFORE)
    return [*broken_for_producers(before, today), *forward]


def _plain(schema: Any, root: Schema) -> Any:
    """The schema with every $ref replaced by what it refers to, within the same file."""
    if isinstance(schema, list):
        return [_plain(part, root) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        return _plain(root["$defs"][reference.removeprefix("#/$defs/")], root) | {
            name: _plain(part, root) for name, part in schema.items() if name != "$ref"
        }
    return {name: _plain(part, root) for name, part in schema.items() if name != "$defs"}


def _changed(before: Schema, today: Schema, field: str) -> Iterator[Break]:
    """Fields that are gone, and those that mean something else where a message leaves them out."""
    for name, old in before.get("properties", {}).items():
        path = _inside(field, name)
        new = today.get("properties", {}).get(name)
        if new is None:
            yield Break(path, "is gone")
            continue
        if "default" in old and old["default"] != new.get("default"):
            yield Break(path, f"left out it means {_text(new.get('default'))}, not {_text(old['default'])}")
        yield from _changed(old, new, path)
    if "items" in before and "items" in today:
        yield from _changed(before["items"], today["items"], f"{field}[]")


def _refused(values: Schema, by: Schema, field: str, who: str) -> Iterator[Break]:
    """Why something that passes `values` does not pass `by`, which is `who`."""
    for value in _alternatives(values, field):
        if (listed := _listed(value)) is not None:
            missing = [one for one in listed if not Draft202012Validator(by).is_valid(one)]
            yield from [Break(field, f"{who} refuses {_text(missing)}")] if missing else []
            continue
        choices = [[*_misfits(value, taken, field, who)] for taken in _alternatives(by, field) if _fits(value, taken)]
        kind = value.get("type", "what is of any type")
        yield from min(choices, key=len, default=[Break(field, f"{who} refuses {kind}")])


def _misfits(value: Schema, taken: Schema, field: str, who: str) -> Iterator[Break]:
    """The same for a single type."""
    if (listed := _listed(taken)) is not None:
        yield Break(field, f"{who} takes {_text(listed)} only")
    for name, nothing in (LEAST | MOST | OTHER).items():
        sent, limit = value.get(name, nothing), taken.get(name, nothing)
        if limit > sent if name in LEAST else limit < sent if name in MOST else limit not in (sent, nothing):
            yield Break(field, f"{who} says {name} {_text(limit)}")
    for name in taken.get("required", ()):
        if name not in value.get("required", ()):
            yield Break(_inside(field, name), f"{who} requires it")
    fields = taken.get("properties", {})
    for name, inner in value.get("properties", {}).items():
        if name in fields:
            yield from _refused(inner, fields[name], _inside(field, name), who)
        elif taken.get("additionalProperties") is False:
            yield Break(_inside(field, name), f"{who} knows no such field")
    if "items" in taken:
        yield from _refused(value.get("items", {}), taken["items"], f"{field}[]", who)


def _alternatives(schema: Schema, field: str) -> list[Schema]:
    """The schema as one or more that have a single type each."""
    unknown = {*schema} - {*LEAST, *MOST, *OTHER, *NOTES, *STRUCTURE}
    if unknown:
        raise NotImplementedError(
            f"{field or 'the message'} has {sorted(unknown)}: teach this checker what they refuse"
        )
    if "anyOf" in schema:
        rest = {name: part for name, part in schema.items() if name != "anyOf"}
        return [one for choice in schema["anyOf"] for one in _alternatives({**rest, **choice}, field)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": name} for name in schema["type"]]
    return [schema]


def _fits(value: Schema, taken: Schema) -> bool:
    """Whether the types do."""
    if "type" not in taken:
        return True
    return value.get("type") == taken["type"] or (value.get("type"), taken["type"]) == ("integer", "number")


def _listed(schema: Schema) -> list[Any] | None:
    """The values that a schema lists, None where it does not."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _inside(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
