"""The identity of an event: its kind, its user and its event id, as a 64-bit hash that is keyed by a secret.

The problem: the deduplication keeps 8 bytes for an event. A person who chooses a user id or an event id must not be
able to choose one whose hash is that of somebody else's event, which would then be taken for a duplicate. XXH3 is no
cryptographic hash: for a known seed, texts that collide are found at once.

How: the seed is derived from a secret that every ledger makes for itself and keeps in its log (see
docs/adr/event-identity.md). Nothing that is served or published depends on the hashes, so they cannot be probed. What a
user can still do is to repeat an own event id, which only takes the user's own event for a duplicate.

Releases up to 0.2 hashed the event id alone, without a secret. `Hashing` says which hash is meant.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_64_digest

from stream_app.core.arrays import Hashes
from stream_app.core.events.schema import Event

_SEPARATOR = "\0"


class Hashing(IntEnum):
    """What the hashes of events in a log are made of. The numbers are stored."""

    EVENT_ID = 0
    """The event id: events that a release up to 0.2 counted."""
    EVENT = 1
    """Kind, user and event id under the key of the ledger."""
    EVENT_ID_TOO = 2
    """The event id beside a hash of the event: written for workers of 0.2 in the group, ignored by this release."""
    TAKEN_BACK = 3
    """Like EVENT: counted events that were taken back; the entries beside them are to be subtracted."""
    RETRACTION = 4
    """Like EVENT: events that were taken back at a time in the pane, whether they had come or not."""


class HashingPlan(NamedTuple):
    """Which hashes a ledger needs of the events of a batch."""

    key: int = 0
    """The secret of the ledger, 64 bits."""
    by_id: bool = False
    """Whether the ledger still holds events that a release up to 0.2 counted."""


UNKEYED = HashingPlan()
"""For callers that look at other columns than the hashes."""


def event_hashes(kind: type[Event], users: Sequence[str], event_ids: Sequence[str], key: int) -> Hashes:
    """Hash the identities of events, which are of one `kind`; `users` and `event_ids` are as text."""
    seed, identities = _seed(kind.__name__, key), zip(users, event_ids, strict=True)
    if _SEPARATOR in "".join(users):
        return _hashes([xxh3_64_digest(_text(user, event_id).encode(), seed) for user, event_id in identities])
    return _hashes([xxh3_64_digest(f"{user}\0{event_id}".encode(), seed) for user, event_id in identities])


def id_hashes(event_ids: Sequence[str]) -> Hashes:
    """Hash the event ids alone, as releases up to 0.2 do."""
    return _hashes([xxh3_64_digest(event_id.encode()) for event_id in event_ids])


def _text(user: str, event_id: str) -> str:
    """The text that is hashed. The first separator ends the user, so a user with one is written with its length."""
    if _SEPARATOR in user:
        return f"{_SEPARATOR}{len(user)}{_SEPARATOR}{user}{event_id}"
    return f"{user}{_SEPARATOR}{event_id}"


def _hashes(digests: list[bytes]) -> Hashes:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


@lru_cache(maxsize=4096)
def _seed(kind: str, key: int) -> int:
    """Seeds of two kinds are unrelated: XXH3 of short texts under seeds that differ by little would be related too."""
    return int.from_bytes(blake2b(kind.encode(), key=key.to_bytes(8, "big"), digest_size=8).digest(), "big")
