"""Whether a record came in the partition of its user."""

from collections.abc import Callable, Container, Iterator, Sequence

from stream_app.core.events import Rejected

PartitionOf = Callable[[bytes], int]
"""The producers' partitioner: key to partition."""


def misplaced(
    users: Sequence[str],
    keys: Sequence[bytes | None],
    indices: Sequence[int],
    partition: int,
    partition_of: PartitionOf | None,
    known: Container[str],
) -> Iterator[Rejected]:
    """The records of `users` that must not be counted here, because another partition may hold the same user.

    Two records of one user in two partitions would make two users of one. `keys` are those of the whole batch and
    `indices` the places of `users` in it. `known` users have been checked before; without `partition_of` (any
    partitioner) only the key is compared.
    """
    expected = list(map(str.encode, users))
    if len(users) == len(keys) and expected == keys:
        strangers = [place for place, user in enumerate(users) if user not in known]
    else:
        strangers = []
        for place, (key, index) in enumerate(zip(expected, indices, strict=True)):
            if keys[index] != key:
                yield _not_the_user(index, keys[index], users[place])
            elif users[place] not in known:
                strangers.append(place)
    if partition_of is None:
        return
    for place in strangers:
        belongs = partition_of(expected[place])
        if belongs != partition:
            yield _elsewhere(indices[place], expected[place], belongs, partition)


def _not_the_user(index: int, key: bytes | None, user: str) -> Rejected:
    message = f"the key is {key!r}, the user_id {user!r}: produce with key = user_id in plain UTF-8"
    return Rejected(index, "key-not-user", message)


def _elsewhere(index: int, key: bytes, belongs: int, partition: int) -> Rejected:
    message = (
        f"key {key!r} belongs to partition {belongs} and came in {partition}: produce with Kafka's default "
        "partitioner (murmur2; in librdkafka partitioner=murmur2_random), or set STREAM_APP_PARTITIONER=any where all "
        "producers use the same other one"
    )
    return Rejected(index, "wrong-partition", message)
