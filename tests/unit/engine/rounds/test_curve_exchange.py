"""The curve exchange: what each record of the curves topic changes in a worker."""

import logging

import msgspec
import pytest

from stream_app.core.changelog import status
from stream_app.core.exchange import cut_record
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME, Source
from stream_app.engine.rounds.curve_exchange import WATERMARK_KEY, CurveExchange
from tests.unit.engine.fakes import NOW_MS, PARTITION, Surroundings, posts
from tests.unit.engine.parts import CHANGELOG, Parts

SCOPE = next(scope for scope in (ScopeName("all", f"t{n}") for n in range(100)) if home_of(scope, 8) == PARTITION)


def new_exchange() -> tuple[CurveExchange, Surroundings]:
    fake = Surroundings()
    return CurveExchange(fake.context), fake


def status_of(partition: int, horizon: int) -> status.Status:
    return status.Status(status.VERSION, partition, {"posts": Source(position=7, applied=7)}, horizon, True, 1, 2, 3, 4)


def publish_status(exchange: CurveExchange, partition: int, horizon: int) -> None:
    exchange.update(b"status/%d" % partition, status.encode(status_of(partition, horizon)))


def test_before_the_first_status_there_is_no_event_time() -> None:
    exchange, _ = new_exchange()
    assert exchange.newest_ms == NO_TIME


def test_the_last_status_of_every_partition_is_kept() -> None:
    exchange, _ = new_exchange()
    for partition, horizon in ((0, 10), (1, 20), (0, 30)):
        publish_status(exchange, partition, horizon)
    assert exchange.statuses == {0: status_of(0, 30), 1: status_of(1, 20)}


def test_event_time_is_that_of_the_partition_that_is_farthest() -> None:
    exchange, _ = new_exchange()
    for partition, horizon in ((0, 10), (1, 20)):
        publish_status(exchange, partition, horizon)
    assert exchange.newest_ms == 20


def test_a_watermark_moves_event_time_on_but_never_back() -> None:
    exchange, _ = new_exchange()
    publish_status(exchange, 0, 10)
    for said in (b"30", b"20"):
        exchange.update(WATERMARK_KEY, said)
    assert exchange.newest_ms == 30


def test_event_ids_are_stored_from_the_time_when_0_2_was_in_the_group_and_not_before() -> None:
    exchange, fake = new_exchange()
    assert exchange.ids_until_ms() == NO_TIME
    exchange.update(b"status/0", status.encode(msgspec.structs.replace(status_of(0, 10), release="0.3.0")))
    assert exchange.ids_until_ms() == NO_TIME
    publish_status(exchange, 1, NO_TIME)  # without a release
    latest_ms = NOW_MS + round(fake.settings.max_ahead_s * 1000)
    assert exchange.ids_until_ms() == latest_ms
    exchange.update(b"status/1", status.encode(msgspec.structs.replace(status_of(1, 10), release="0.3.0", epoch=1)))
    assert exchange.ids_until_ms() == latest_ms, "0.2 was there until then"


def test_a_worker_that_comes_later_hears_of_the_others_until_when_event_ids_are_stored() -> None:
    exchange, _ = new_exchange()
    for partition, until_ms in ((0, 500), (1, NO_TIME)):
        of_0_3 = msgspec.structs.replace(status_of(partition, 10), release="0.3.0", ids_until_ms=until_ms)
        exchange.update(b"status/%d" % partition, status.encode(of_0_3))
    assert exchange.ids_until_ms() == 500


def test_nobody_can_have_event_ids_stored_for_ever() -> None:
    exchange, fake = new_exchange()
    forged = msgspec.structs.replace(status_of(0, 10), release="0.3.0", ids_until_ms=2**59)
    exchange.update(b"status/0", status.encode(forged))
    assert exchange.ids_until_ms() == NOW_MS + round(fake.settings.max_ahead_s * 1000)


async def test_cuts_reach_every_worker() -> None:
    sender = Parts()
    await sender.count(posts(range(3), topics=[SCOPE.topic]))
    for _ in range(2):
        await sender.round()
    exchange, fake = new_exchange()
    for record in sender.fake.producer.of("influence.curves"):
        exchange.update(record.key or b"", record.value or b"")
    assert fake.context.followed.has(SCOPE)
    assert exchange.statuses[PARTITION].sources["influence.posts"].applied == 3
    assert exchange.newest_ms == NOW_MS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"status/0", status.encode(msgspec.structs.replace(status_of(0, 10), version=99))),
        (b"status/0", b"\x93\x01\x02"),
        (b"status/0", b""),
        (b'cut/["all","tea"]', b"\x99"),
        (b'cut/["all","tea"]', msgspec.msgpack.encode([cut_record.VERSION + 1])),
        (b"cut/tea", b""),
        (WATERMARK_KEY, b"soon"),
        (WATERMARK_KEY, b"\xff"),
    ],
)
def test_an_unreadable_record_is_logged_and_changes_nothing(
    key: bytes, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    exchange, _ = new_exchange()
    exchange.update(key, value)
    assert exchange.statuses == {}
    assert exchange.newest_ms == NO_TIME
    ((_, level, text),) = caplog.record_tuples
    assert level == logging.ERROR
    assert repr(key) in text


def test_a_status_of_another_release_is_logged_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    exchange, _ = new_exchange()
    exchange.update(b"status/0", status.encode(msgspec.structs.replace(status_of(0, 10), version=99)))
    assert "version 99" in caplog.text
    assert f"reads {status.VERSION}" in caplog.text


@pytest.mark.parametrize("fields_added_since", [1, 2])
def test_a_status_of_an_earlier_release_can_be_read(fields_added_since: int) -> None:
    exchange, _ = new_exchange()
    older = msgspec.msgpack.decode(status.encode(status_of(0, 10)))[:-fields_added_since]
    exchange.update(b"status/0", msgspec.msgpack.encode(older))
    assert exchange.statuses == {0: status_of(0, 10)}


async def test_late_records_of_a_former_owner_are_ignored_and_the_owner_repeats_what_they_overwrote() -> None:
    frozen = Parts()
    await frozen.count(posts(range(3)))
    await frozen.round()
    late = frozen.fake.producer.of("influence.curves")
    owner = Parts(hold=False)
    owner.restore_table({r.key: r.value for r in frozen.fake.producer.of(CHANGELOG) if r.key and r.value})
    await owner.ownership.take_over({PARTITION}, 2)
    await owner.count(posts(range(3, 8)))
    for _ in range(3):
        await owner.round()
    before, known = owner.fake.producer.of("influence.curves"), owner.exchange.statuses[PARTITION]
    await owner.round()
    assert owner.fake.producer.of("influence.curves") == before, "it was at rest"
    for record in late:
        owner.exchange.update(record.key or b"", record.value or b"")
    assert owner.exchange.statuses[PARTITION] == known
    for _ in range(2):
        await owner.round()
    after = owner.fake.producer.of("influence.curves")
    assert [r.key for r in after[len(before) :]] == [b"status/%d" % PARTITION]
    await owner.round()
    assert owner.fake.producer.of("influence.curves") == after, "it repeats once"


@pytest.mark.parametrize("key", [b"", b"something", b"other/1"])
def test_keys_of_others_are_ignored(key: bytes, caplog: pytest.LogCaptureFixture) -> None:
    exchange, _ = new_exchange()
    exchange.update(key, b"value")
    assert caplog.record_tuples == []


async def test_whole_curves_of_earlier_releases_are_deleted_once_no_worker_reads_them() -> None:
    parts = Parts()
    ours, others = f"curves/{PARTITION}/7".encode(), f"curves/{PARTITION + 1}/7/2".encode()
    for key in (ours, others, b"curves/x"):
        parts.exchange.update(key, b"curves")
    older = {PARTITION + 1: msgspec.structs.replace(parts.others.statuses[PARTITION + 1], asked=0)}
    parts.others.statuses |= older
    parts.fake.context.homes.follow()
    parts.fake.context.homes.hears(PARTITION, parts.store.ownership.epoch, 0.0)
    await parts.count(posts(range(3)))
    for _ in range(2):
        await parts.round()
    assert not deleted(parts)
    parts.others.statuses[PARTITION + 1] = msgspec.structs.replace(older[PARTITION + 1], asked=1)
    await parts.round()
    assert deleted(parts) == {ours}
    await parts.round()
    assert parts.exchange.outdated(parts.fake.context.owned) == []


def deleted(parts: Parts) -> set[bytes]:
    written = parts.fake.producer.of("influence.curves")
    return {record.key or b"" for record in written if record.value is None and (record.key or b"").startswith(b"curv")}
