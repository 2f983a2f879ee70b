"""The checker of compatibility, on made-up changes: what it finds broken for whom, and what it lets pass."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from tests.unit.schemas.compatibility import broken_for_consumers, broken_for_producers

Fields = dict[str, Any]

TEXT, WHOLE, NUMBER, NOTHING = ({"type": name} for name in ("string", "integer", "number", "null"))
SHORT, LONG, FILLED = TEXT | {"maxLength": 9}, TEXT | {"maxLength": 99}, TEXT | {"minLength": 1}
CODE, DAY = TEXT | {"pattern": "^[a-z]+$"}, TEXT | {"format": "date"}
POSITIVE, SMALL = WHOLE | {"minimum": 1}, NUMBER | {"exclusiveMaximum": 1}
ABC, AB, ONLY_A = {"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}, {"const": "a"}


class Change(NamedTuple):
    """What was before, what is today, and what that breaks: for producers if it is an input, for consumers if not."""

    before: Fields
    today: Fields
    producers: list[str]
    consumers: list[str]


def change(
    old: Fields, new: Fields, *, today: Iterable[str] = (), before: Iterable[str] = (), said: Iterable[str] = ()
) -> Change:
    """What is found: word for word, and what the schema of today or of before does, to x where no field is named."""
    for_all = [*said, *(_finding(why, "today's schema") for why in today)]
    return Change(old, new, for_all, [*for_all, *(_finding(why, "the schema of before") for why in before)])


def _finding(why: str, who: str) -> str:
    field, _, reason = why.rpartition(": ")
    return f"{field or 'x'}: {who} {reason}"


def message(*required: str, closed: bool = False, **fields: Fields) -> Fields:
    schema = {"type": "object", "properties": {"id": TEXT, **fields}, "required": ["id", *required]}
    return schema | ({"additionalProperties": False} if closed else {})


def either(*choices: Fields) -> Fields:
    return {"anyOf": list(choices)}


def a_list(of: Fields, **limits: int) -> Fields:
    return {"type": "array", "items": of, **limits}


def defined(kind: Fields) -> Fields:
    """A message whose field x is of a kind that is defined elsewhere in the schema."""
    return message(x={"$ref": "#/$defs/Kind"}) | {"$defs": {"Kind": kind}}


ANY_TYPE = "refuses what is of any type"
CHANGES = {
    "nothing": change(message(x=TEXT), message(x=TEXT)),
    "words only": change(message(x=TEXT), message(x=TEXT | {"description": "new"})),
    "a field is added": change(message(), message(x=TEXT)),
    "a field is added and required": change(message(), message("x", x=TEXT), today=["requires it"]),
    "a field is added where unknown ones were refused": change(
        message(closed=True), message(x=TEXT, closed=True), before=["knows no such field"]
    ),
    "unknown fields are refused": change(
        message(), message(closed=True), today=["the message: says additionalProperties false"]
    ),
    "a field is removed": change(message(x=TEXT), message(), said=["x: is gone"]),
    "a required field is removed": change(message("x", x=TEXT), message(), said=["x: is gone"], before=["requires it"]),
    "a field of a field is removed": change(message(x=message(y=TEXT)), message(x=message()), said=["x.y: is gone"]),
    "an optional field is required": change(message(x=TEXT), message("x", x=TEXT), today=["requires it"]),
    "a field of items is required": change(
        message(x=a_list(message(y=TEXT))), message(x=a_list(message("y", y=TEXT))), today=["x[].y: requires it"]
    ),
    "a required field is optional": change(message("x", x=TEXT), message(x=TEXT), before=["requires it"]),
    "a required field gets a default": change(
        message("x", x=TEXT), message(x=TEXT | {"default": "all"}), before=["requires it"]
    ),
    "text becomes a number": change(
        message(x=TEXT), message(x=WHOLE), today=["refuses string"], before=["refuses integer"]
    ),
    "whole numbers become any": change(message(x=WHOLE), message(x=NUMBER), before=["refuses number"]),
    "numbers become whole": change(message(x=NUMBER), message(x=WHOLE), today=["refuses number"]),
    "a type is taken too": change(message(x=TEXT), message(x=either(TEXT, WHOLE)), before=["refuses integer"]),
    "a type is taken no more": change(message(x=either(TEXT, WHOLE)), message(x=WHOLE), today=["refuses string"]),
    "null is taken too": change(message(x=TEXT), message(x=either(TEXT, NOTHING)), before=["refuses null"]),
    "null is taken no more": change(message(x=either(TEXT, NOTHING)), message(x=TEXT), today=["refuses null"]),
    "types change places": change(message(x=either(TEXT, WHOLE)), message(x=either(WHOLE, TEXT))),
    "types are written in another way": change(
        message(x=either(TEXT, WHOLE)), message(x={"type": ["integer", "string"]})
    ),
    "one of several types is narrowed": change(
        message(x=either(LONG, WHOLE, NOTHING)), message(x=either(WHOLE, NOTHING, SHORT)), today=["says maxLength 9"]
    ),
    "any value becomes text": change(message(x={}), message(x=TEXT), today=[ANY_TYPE]),
    "text becomes any value": change(message(x=TEXT), message(x={}), before=[ANY_TYPE]),
    "a value is listed too": change(message(x=AB), message(x=ABC), before=['refuses ["c"]']),
    "a value is listed no more": change(message(x=ABC), message(x=AB), today=['refuses ["c"]']),
    "a value is defined no more": change(defined(ABC), defined(AB), today=['refuses ["c"]']),
    "a list becomes one value": change(message(x=AB), message(x=ONLY_A), today=['refuses ["b"]']),
    "a list becomes free text": change(message(x=AB), message(x=TEXT), before=['takes ["a", "b"] only']),
    "free text becomes a list": change(message(x=TEXT), message(x=AB), today=['takes ["a", "b"] only']),
    "text may be longer": change(message(x=SHORT), message(x=LONG), before=["says maxLength 9"]),
    "text must be shorter": change(message(x=LONG), message(x=SHORT), today=["says maxLength 9"]),
    "text must not be empty": change(message(x=TEXT), message(x=FILLED), today=["says minLength 1"]),
    "text may be empty, as before": change(message(x=TEXT), message(x=TEXT | {"minLength": 0})),
    "text must have a form": change(message(x=TEXT), message(x=CODE), today=['says pattern "^[a-z]+$"']),
    "text needs no form": change(message(x=CODE), message(x=TEXT), before=['says pattern "^[a-z]+$"']),
    "text must be a day": change(message(x=TEXT), message(x=DAY), today=['says format "date"']),
    "a number gets a floor": change(message(x=WHOLE), message(x=POSITIVE), today=["says minimum 1"]),
    "a number loses its floor": change(message(x=POSITIVE), message(x=WHOLE), before=["says minimum 1"]),
    "a number gets a limit": change(message(x=NUMBER), message(x=SMALL), today=["says exclusiveMaximum 1"]),
    "an array must be shorter": change(
        message(x=a_list(TEXT, maxItems=5)), message(x=a_list(TEXT, maxItems=4)), today=["says maxItems 4"]
    ),
    "items are narrowed": change(message(x=a_list(LONG)), message(x=a_list(SHORT)), today=["x[]: says maxLength 9"]),
    "items get a type": change(message(x={"type": "array"}), message(x=a_list(TEXT)), today=[f"x[]: {ANY_TYPE}"]),
    "left out it means something else": change(
        message(x=TEXT | {"default": "all"}),
        message(x=TEXT | {"default": "some"}),
        said=['x: left out it means "some", not "all"'],
    ),
}


def test_a_change_breaks_what_it_should_for_producers_and_for_consumers(subtests: pytest.Subtests) -> None:
    for what, (old, new, producers, consumers) in CHANGES.items():
        with subtests.test(what=what):
            assert [str(found) for found in broken_for_producers(old, new)] == producers
            assert [str(found) for found in broken_for_consumers(old, new)] == consumers


def test_a_keyword_that_the_checker_does_not_know_is_reported_and_not_ignored() -> None:
    with pytest.raises(NotImplementedError, match=r"x has \['contains'\]: teach this checker"):
        broken_for_producers(message(x=TEXT), message(x={"type": "array", "contains": TEXT}))
