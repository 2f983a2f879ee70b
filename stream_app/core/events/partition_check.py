"""Whether a record came in the partition of its user."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.decode import Rejected

PartitionsOf = Callable[[Sequence[bytes]], Ints]
"""The producers' partitioner: keys to partitions."""


def misplaced(
    users: Sequence[str],
    keys: Sequence[bytes | None],
    indices: Sequence[int],
    partition: int,
    partitions_of: PartitionsOf | None,
    known: Mapping[str, object],
) -> Iterator[Rejected]:
    """The records of `users` that must not be counted here, because another partition may hold the same user.

    Two records of one user in two partitions would make two users of one. `keys` are those of the whole batch and
    `indices` the places of `users` in it. `known` users have been checked before; without `partitions_of` (any
    partitioner) only the key is compared.
    """
    if not _are_all_keys(users, keys):
        for index, user in zip(indices, users, strict=True):
            if keys[index] != user.encode():
                yield _not_the_user(index)
    if partitions_of is None:
        return
    new = [user for user in set(users) if user not in known]  # set.difference would go through all that are known
    places = partitions_of([user.encode() for user in new])
    strangers = {new[number]: int(places[number]) for number in np.flatnonzero(places != partition).tolist()}
    for index, user in zip(indices, users, strict=True) if strangers else ():
        if user in strangers and keys[index] == user.encode():
            yield _elsewhere(index, strangers[user], partition)


def _are_all_keys(users: Sequence[str], keys: Sequence[bytes | None]) -> bool:
    """Whether the keys are the users, one by one: a quick look, False where it would take more than one."""
    joined = "\n".join(users).encode()
    if len(users) != len(keys) or joined.count(b"\n") >= max(len(users), 1):
        return False
    try:
        return b"\n".join(keys) == joined  # type: ignore[arg-type]
    except TypeError:  # one of them is None
        return False


def _not_the_user(index: int) -> Rejected:
    # No message names a user, because it is logged: the record itself is set aside.
    return Rejected(index, "key-not-user", "the key is not the user_id: produce with key = user_id in plain UTF-8")


def _elsewhere(index: int, belongs: int, partition: int) -> Rejected:
    message = (
        f"the key belongs to partition {belongs} and came in {partition}: produce with Kafka's default "
        "partitioner (murmur2; in librdkafka partitioner=murmur2_random), or set STREAM_APP_PARTITIONER=any where all "
        "producers use the same other one"
    )
    return Rejected(index, "wrong-partition", message)
