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
    for user, index in zip(users, indices, strict=True):
        key = keys[index]
        if key != user.encode():
            yield Rejected(
                index,
                "key-not-user",
                f"the key is {key!r}, the user_id {user!r}: produce with key = user_id in plain UTF-8",
            )
        elif partition_of is not None and user not in known and (expected := partition_of(key)) != partition:
            yield Rejected(
                index,
                "wrong-partition",
                f"key {key!r} belongs to partition {expected} and came in {partition}: produce with Kafka's default "
                "partitioner (murmur2; in librdkafka partitioner=murmur2_random), or set "
                "STREAM_APP_PARTITIONER=any where every producer uses the same other one",
            )
