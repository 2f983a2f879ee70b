"""People without their names: keyed hashes of user ids, as pseudonyms and to remember who was erased."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

_BYTES = 16
_MOST_REMEMBERED = 100_000


class PersonHashes:
    """The hashes under one secret key. Without the key nobody can find out whether a hash is that of a given person."""

    def __init__(self, key: str) -> None:
        secret = blake2b(key.encode()).digest()  # as long as a key may be, whatever the length of the text
        self.pseudonym = _hash(secret, b"pseudonym")
        """What a user is called where ids are replaced."""
        self.mark = _hash(secret, b"erasure")
        """What is kept of somebody who was erased."""
        self.check = _hash(secret, b"check")("")
        """The same for everybody with the same key."""

    def marks(self, user: str) -> tuple[str, str]:
        """The marks of both names that a ledger may know a user by: the id, and its pseudonym."""
        return self.mark(user), self.mark(self.pseudonym(user))


class Pseudonyms(dict[str, str]):
    """The pseudonyms of users, each computed when it is asked for and remembered for a while."""

    def __init__(self, persons: PersonHashes) -> None:
        super().__init__()
        self._pseudonym = persons.pseudonym

    def __missing__(self, user: str) -> str:
        name = self[user] = self._pseudonym(user)
        return name

    def of(self, users: Sequence[str]) -> list[str]:
        """The pseudonym of each user."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()
        return list(map(self.__getitem__, users))


def _hash(secret: bytes, purpose: bytes) -> Callable[[str], str]:
    """A hash of text, in hexadecimal; those of different purposes have nothing in common."""
    fresh = blake2b(key=secret, person=purpose, digest_size=_BYTES)

    def hashed(text: str) -> str:
        state = fresh.copy()  # half the time of a new one
        state.update(text.encode())
        return state.hexdigest()

    return hashed
