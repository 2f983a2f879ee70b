"""The table that is told its partition: what is written, where, and what it holds afterwards."""

from tests.engine.fakes import Surroundings, Written

CHANGELOG = "influence-segments-changelog"


async def test_a_write_goes_to_the_changelog_in_the_partition_named() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", b"value")
    await fake.outgoing.flush()
    assert fake.outgoing.durable == [Written(CHANGELOG, 5, b"key", b"value", ())]
    assert fake.segments.of_partition(5) == {b"key": b"value"}


async def test_a_deletion_is_a_tombstone_in_the_same_partition() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", b"value")
    fake.segments.write(5, b"key", None)
    await fake.outgoing.flush()
    assert fake.outgoing.durable[1] == Written(CHANGELOG, 5, b"key", None, ())
    assert fake.segments.of_partition(5) == {}


async def test_deleting_what_is_not_there_writes_nothing() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", None)
    await fake.outgoing.flush()
    assert fake.outgoing.durable == []


def test_each_partition_has_its_own_keys() -> None:
    fake = Surroundings()
    for partition in (0, 1):
        fake.segments.write(partition, b"%d" % partition, b"value")
    assert fake.segments.of_partition(0) == {b"0": b"value"}
    assert fake.segments.of_partition(1) == {b"1": b"value"}
    assert fake.segments.of_partition(2) == {}


async def test_a_partition_that_moves_away_takes_its_keys_along() -> None:
    fake = Surroundings()
    for partition in (0, 1):
        fake.segments.write(partition, b"%d" % partition, b"value")
    await fake.segments.data.on_recovery_completed({(CHANGELOG, 1)}, set())
    assert fake.segments.of_partition(0) == {}
    assert fake.segments.of_partition(1) == {b"1": b"value"}
