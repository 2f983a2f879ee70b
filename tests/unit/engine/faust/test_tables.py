"""Tables with an explicit partition: what is written, where, and what they hold afterwards."""

from tests.unit.engine.fakes import Surroundings, Written, record

CHANGELOG = "influence-segments-changelog"


async def test_a_write_goes_to_the_changelog_in_the_partition_named() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", b"value")
    await fake.producer.flush()
    assert fake.producer.durable == [Written(CHANGELOG, 5, b"key", b"value", ())]
    assert fake.segments.of_partition(5) == {b"key": b"value"}


async def test_a_deletion_is_a_tombstone_in_the_same_partition() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", b"value")
    fake.segments.write(5, b"key", None)
    await fake.producer.flush()
    assert fake.producer.durable[1] == Written(CHANGELOG, 5, b"key", None, ())
    assert fake.segments.of_partition(5) == {}


async def test_deleting_what_is_not_there_writes_nothing() -> None:
    fake = Surroundings()
    fake.segments.write(5, b"key", None)
    await fake.producer.flush()
    assert fake.producer.durable == []


def test_each_partition_has_its_own_keys() -> None:
    fake = Surroundings()
    for partition in (0, 1):
        fake.segments.write(partition, b"%d" % partition, b"value")
    assert fake.segments.of_partition(0) == {b"0": b"value"}
    assert fake.segments.of_partition(1) == {b"1": b"value"}
    assert fake.segments.of_partition(2) == {}


def test_a_partition_that_moves_away_takes_its_keys_along() -> None:
    fake = Surroundings()
    for partition in (0, 1):
        fake.segments.write(partition, b"%d" % partition, b"value")
    fake.segments.keep({1})
    assert fake.segments.of_partition(0) == {}
    assert fake.segments.of_partition(1) == {b"1": b"value"}


async def test_of_a_partition_without_values_the_keys_are_kept_and_the_log_gets_all() -> None:
    fake = Surroundings()
    for partition in (0, 1):
        fake.segments.write(partition, b"before %d" % partition, b"value")
    fake.segments.keep_only_keys(0)
    assert fake.segments.of_partition(0) == {b"before 0": b"value"}, "it is not restored so far"
    fake.segments.restored(0, 10)
    fake.segments.keep_only_keys(0)
    fake.segments.write(0, b"after", b"value")
    fake.segments.write(0, b"before 0", None)
    await fake.producer.flush()
    assert fake.segments.of_partition(0) == {b"after": b""}
    assert fake.segments.of_partition(1) == {b"before 1": b"value"}
    written = [(record.key, record.value) for record in fake.producer.durable]
    assert written[2:] == [(b"after", b"value"), (b"before 0", None)]
    fake.segments.drop(0)
    fake.segments.write(0, b"again", b"value")
    assert fake.segments.of_partition(0) == {b"again": b"value"}


def test_a_partition_is_restored_as_its_log_says() -> None:
    fake = Surroundings()
    log = [record(0, b"1", b"a"), record(1, b"2", b"b"), record(2, b"3", b"a"), record(3, None, b"b")]
    fake.segments.restore(4, log)
    assert fake.segments.of_partition(4) == {b"a": b"3"}


def test_a_log_is_read_again_only_when_somebody_else_has_written_to_it() -> None:
    fake = Surroundings()
    assert not fake.segments.is_restored(4, 0)
    fake.segments.restored(4, 10)
    assert fake.segments.is_restored(4, 10)
    assert not fake.segments.is_restored(4, 11)
    fake.producer.alone_until[CHANGELOG, 4] = 12
    assert fake.segments.is_restored(4, 12)
    assert not fake.segments.is_restored(4, 13)
    del fake.producer.alone_until[CHANGELOG, 4]
    assert not fake.segments.is_restored(4, 12)
    fake.segments.restored(4, 13)
    fake.segments.drop(4)
    assert not fake.segments.is_restored(4, 13)
