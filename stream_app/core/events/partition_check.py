"""Partition check: whether each record is in the partition that its user belongs to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import filterfalse

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.decode import Rejected

PartitionsOf = Callable[[Sequence[bytes]], Ints]
"""The partitioner of the producers: maps keys to partitions."""


def misplaced(
    users: Sequence[str],
    keys: Sequence[bytes | None],
    indices: Sequence[int],
    partition: int,
    partitions_of: PartitionsOf | None,
    known: Mapping[str, object],
) -> Iterator[Rejected]:
    """Yield the records that must not be counted, because another partition may hold the same user.

    A user with records in two partitions would be counted as two users. `keys` are the keys of all records of the
    batch; `indices` locate the records of `users` in it. `known` users passed the check before. Without
    `partitions_of` (any partitioner) only keys and users are compared.
    """
    if not _are_all_keys(users, keys):
        for index, user in zip(indices, users, strict=True):
            if keys[index] != user.encode():
                yield _not_the_user(index)
    if partitions_of is None:
        return
    new = list(set(filterfalse(known.__contains__, users)))
    places = partitions_of([user.encode() for user in new])
    strangers = {new[number]: int(places[number]) for number in np.flatnonzero(places != partition).tolist()}
    for index, user in zip(indices, users, strict=True) if strangers else ():
        if user in strangers and keys[index] == user.encode():
            yield _elsewhere(index, strangers[user], partition)


def _are_all_keys(users: Sequence[str], keys: Sequence[bytes | None]) -> bool:
    """Return whether all keys equal their users. A quick check: False may also mean that it could not decide."""
    joined = "\n".join(users).encode()
    if len(users) != len(keys) or joined.count(b"\n") >= max(len(users), 1):
        return False
    try:
        return b"\n".join(keys) == joined  # type: ignore[arg-type]
    except TypeError:  # one of them is None
        return False


def _not_the_user(index: int) -> Rejected:
    # Messages are logged, so they never name a user. The dead letter holds the record itself.
    return Rejected(index, "key-not-user", "the key is not the user_id: produce with key = user_id in plain UTF-8")


def _elsewhere(index: int, belongs: int, partition: int) -> Rejected:
    message = (
        f"the key belongs to partition {belongs} and was found in {partition}: produce with Kafka's default "
        "partitioner (murmur2; in librdkafka partitioner=murmur2_random), or set STREAM_APP_PARTITIONER=any if all "
        "producers share a different one"
    )
    return Rejected(index, "wrong-partition", message)
