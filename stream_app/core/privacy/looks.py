"""Who is named in what is said, for the audit of looks at people."""

from collections.abc import Iterator
from typing import Any

import msgspec

_NAMES = ("user_id", "author_id")


class _Person(msgspec.Struct):
    user_id: str


class _Part(msgspec.Struct):
    influencers: list[_Person] = []


_PART = msgspec.json.Decoder(_Part)


def persons_of(said: Any) -> list[str]:
    """Return everybody whom a message names, each once."""
    return list(dict.fromkeys(_named(said)))


def persons_in_part(json: bytes) -> list[str]:
    """The same of a part of the page."""
    return [person.user_id for person in _PART.decode(json).influencers]


def _named(said: Any) -> Iterator[str]:
    if isinstance(said, list):
        for one in said:
            yield from _named(one)
    elif isinstance(said, msgspec.Struct):
        for name in said.__struct_fields__:
            value = getattr(said, name)
            if name not in _NAMES:
                yield from _named(value)
            elif value is not None:
                yield value
