"""Keyed hashes of user ids, used as pseudonyms and as marks of users who were erased."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

_BYTES = 16
_MOST_REMEMBERED = 100_000


class PersonHashes:
    """The hashes under one secret key. Without the key nobody can check whether a hash belongs to a given user."""

    def __init__(self, key: str) -> None:
        secret = blake2b(key.encode()).digest()  # blake2b keys are at most 64 bytes; the text may be longer
        self.pseudonym = _hash(secret, b"pseudonym")
        """Returns the pseudonym that replaces a user id."""
        self.mark = _hash(secret, b"erasure")
        """Returns the mark that is kept of an erased user."""
        self.check = _hash(secret, b"check")("")
        """Identifies the key: equal for equal keys."""
        self.post_key = int(_hash(secret, b"posts")("")[:16], 16)
        """Of the hashes of posts that go from partition to partition, 64 bits."""

    def marks(self, user: str) -> tuple[str, str]:
        """Return the marks of the two names that a ledger may use for a user: the id and its pseudonym."""
        return self.mark(user), self.mark(self.pseudonym(user))


class Pseudonyms(dict[str, str]):
    """A cache of pseudonyms, each computed on first use."""

    def __init__(self, persons: PersonHashes) -> None:
        super().__init__()
        self._pseudonym = persons.pseudonym

    def __missing__(self, user: str) -> str:
        name = self[user] = self._pseudonym(user)
        return name

    def of(self, users: Sequence[str]) -> list[str]:
        """Return the pseudonym of each user."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()
        return list(map(self.__getitem__, users))


def _hash(secret: bytes, purpose: bytes) -> Callable[[str], str]:
    """Return a function that hashes text to hexadecimal; hashes for different purposes are unrelated."""
    fresh = blake2b(key=secret, person=purpose, digest_size=_BYTES)

    def hashed(text: str) -> str:
        state = fresh.copy()  # takes half the time of creating a new one
        state.update(text.encode())
        return state.hexdigest()

    return hashed
