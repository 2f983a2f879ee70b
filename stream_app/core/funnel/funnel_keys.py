"""Keys of the funnel: 64-bit hashes of persons, scopes and posts under a secret, and the order of events of one time.

Those who send events choose names, and XXH3 is no cryptographic hash: without the secret of the ledger a person could
find a name whose hash is that of somebody else (see core/events/identity).
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from xxhash import xxh3_64_digest, xxh3_64_intdigest

from stream_app.core.arrays import Hashes
from stream_app.core.state.scopes import ScopeName

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # the finalizer of SplitMix64
_DIGITS = 17
_18_DIGITS: int = _DIGITS * 10**_DIGITS
"""Where the codes of numbers of 18 digits begin, less the smallest of them; those of 19 begin after them."""
_19_DIGITS: int = _18_DIGITS + 10**18
_TEXT = 3 << 62
"""Where the codes of other ids begin: four bytes of text, and 30 bits of their hash."""
_HASH_BITS = 30


class FunnelKeys:
    """The hashes under one secret, 64 bits."""

    def __init__(self, secret: int) -> None:
        self._person, self._scope, self._post = (_seed(what, secret) for what in (b"person", b"scope", b"post"))

    def persons(self, names: Sequence[str]) -> Hashes:
        """Hash persons."""
        return _hashes(names, self._person)

    def posts(self, ids: Sequence[str]) -> Hashes:
        """Hash ids of posts; an unknown one is ""."""
        return _hashes(ids, self._post)

    def scopes(self, names: Sequence[ScopeName]) -> Hashes:
        """Hash the names of scopes."""
        return _hashes([f"{len(name.population)}\0{name.population}{name.topic}" for name in names], self._scope)


def mixed(hashes: Hashes, others: Hashes | np.uint64) -> Hashes:
    """Return one hash for each pair of them. No two pairs with an equal half have the same."""
    mix: Hashes = hashes * _ODD + others
    mix ^= mix >> np.uint64(30)
    mix *= _FIRST
    mix ^= mix >> np.uint64(27)
    mix *= _SECOND
    mix ^= mix >> np.uint64(31)
    return mix


def event_orders(event_ids: Sequence[str]) -> Hashes:
    """Return a code for each event id, by which events of one person at the same time are ordered.

    No secret is in it, so that the order is the same in every partition. Numbers of up to 17 digits come in the order
    of their text, then those of 18 and of 19 digits, and all other ids by their first four bytes and then by a hash.
    """
    return np.fromiter(map(_order, event_ids), np.uint64, len(event_ids))


def _order(event_id: str) -> int:
    digits = len(event_id)
    if digits <= _DIGITS + 2 and event_id.isdecimal() and event_id.isascii():
        if digits <= _DIGITS:
            return int(event_id.ljust(_DIGITS, "0")) * _DIGITS + digits - 1
        if event_id[0] != "0":
            return int(event_id) + (_18_DIGITS if digits == _DIGITS + 1 else _19_DIGITS)
    text = event_id.encode()
    start = int.from_bytes(text[:4].ljust(4, b"\0"), "big")
    hashed = int(xxh3_64_intdigest(text)) >> (64 - _HASH_BITS)
    return _TEXT | start << _HASH_BITS | hashed


def _hashes(texts: Sequence[str], seed: int) -> Hashes:
    digests = b"".join([xxh3_64_digest(text.encode(), seed) for text in texts])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def _seed(what: bytes, secret: int) -> int:
    return int.from_bytes(blake2b(what, key=secret.to_bytes(8, "big"), person=b"funnel", digest_size=8).digest(), "big")
