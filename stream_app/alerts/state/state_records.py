"""What is remembered of flags, digests and positions: records of the state topic, written and read."""

from typing import Literal

import msgspec
from msgspec import Struct

from stream_app.core.messages import Flag

FLAG, DIGEST, POSITIONS, OWNER = "flag/", "digest/", "positions", "owner"
"""How the keys of the state topic begin, or are."""

What = Literal["send", "cooldown", "limit", "quiet"]
WAITS = ("limit", "quiet")


class Verdict(Struct, frozen=True, kw_only=True):
    """What one rule makes of a flag, for the sinks that no rule before it has decided about."""

    rule: str
    what: What
    sinks: tuple[str, ...]
    due_ms: int = 0
    """Of what waits: when the digest goes, at the latest."""


class FlagEntry(Struct, kw_only=True, omit_defaults=True):
    """A flag that fits a rule. It is forgotten when it would be too old to be sent, were it to come again."""

    number: int
    """They count up."""
    decided_ms: int
    keep_until_ms: int
    verdicts: tuple[Verdict, ...]
    flag: Flag
    pending: tuple[str, ...] = ()
    """The sinks that have still to get it, by itself."""


class Digest(Struct, kw_only=True, omit_defaults=True):
    """One message for all the flags that waited: those of the rule with numbers from `first` to `last`."""

    rule: str
    number: int
    first: int
    last: int
    made_ms: int
    pending: tuple[str, ...] = ()


class Positions(Struct, kw_only=True):
    """Up to where the flags were read, by partition."""

    offsets: dict[int, int]


class Owner(Struct, kw_only=True):
    """Who decides from here on: what others write later does not count."""

    name: str
    since_ms: int


Record = FlagEntry | Digest | Positions | Owner
_KINDS: dict[str, type[Record]] = {FLAG: FlagEntry, DIGEST: Digest, POSITIONS: Positions, OWNER: Owner}
_ENCODER = msgspec.json.Encoder()


class StateError(RuntimeError):
    """The state topic holds what this release does not understand; the message says what to do."""


def encode(record: Record) -> bytes:
    """The value of a record."""
    return _ENCODER.encode(record)


def decode(key: str, value: bytes) -> Record:
    """The record with that key. Raises StateError."""
    kind = next((kind for prefix, kind in _KINDS.items() if key.startswith(prefix)), None)
    if kind is None:
        raise StateError(f"the alerts topic holds a record {key!r}, of which this release knows nothing")
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise StateError(
            f"the record {key!r} of the alerts topic is not one of this release ({error}): run the release that wrote "
            "it, or start with a new STREAM_APP_ALERTS_TOPIC"
        ) from error
