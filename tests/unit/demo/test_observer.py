"""What the demo observes: cuts, and records that nobody can read."""

from types import SimpleNamespace
from typing import Any

import msgspec

from stream_app.core.exchange import cut_record
from stream_app.core.messages import OWN_ROLES, ROLES
from stream_app.demo.observer import Observer
from stream_app.settings import Settings
from tests.unit.core.exchange.test_exchange_reader import TEA, a_status
from tests.unit.core.exchange.test_followed_cuts import record
from tests.unit.demo.test_demo_parts import cut

SETTINGS = Settings()


def records(topic: str, *pairs: tuple[bytes | None, bytes | None]) -> list[Any]:
    return [
        SimpleNamespace(topic=topic, partition=0, offset=number, key=key, value=value)
        for number, (key, value) in enumerate(pairs)
    ]


def follow(observer: Observer, users: int, exact: tuple[bool, bool] = (True, True)) -> None:
    value = cut_record.encode(record(users, exact=exact))
    observer._take(SETTINGS.curves_topic, records(SETTINGS.curves_topic, (cut_record.key_of(TEA), value)))


def publish(observer: Observer, users: int, **given: int) -> None:
    numbers = dict.fromkeys(("users", "total", "k", "threshold", "flagged", "emerging"), users) | given
    published = [cut(topic=TEA.topic, role=role, **numbers) for role in ROLES[:OWN_ROLES]]
    pairs = [(b"%d" % number, msgspec.json.encode(one)) for number, one in enumerate(published)]
    observer._take(SETTINGS.cuts_topic, records(SETTINGS.cuts_topic, *pairs))


def test_cuts_are_published_once_they_are_those_that_all_workers_know() -> None:
    observer = Observer(SETTINGS)
    follow(observer, 3)
    assert not observer._is_published()
    publish(observer, 3)
    assert observer._is_published()
    follow(observer, 3, exact=(True, False))
    assert not observer._is_published()


def test_with_a_minimum_group_they_are_what_may_be_said_of_those() -> None:
    observer = Observer(Settings(min_group=5))
    follow(observer, 3)
    assert observer._is_published()
    follow(observer, 37)
    publish(observer, 37)
    assert not observer._is_published()
    publish(observer, 35, total=10, threshold=10)
    assert observer._is_published()


def test_a_record_that_cannot_be_read_does_not_end_it(caplog: Any) -> None:
    observer = Observer(SETTINGS)
    junk = [(None, b"x"), (b"status/1", b"\xc1"), (b"cut/x", b"\xc1"), (b"cut/x", None), (b"past/1", b"x")]
    forged = [(b"status/3", a_status(partition=2**40)), (b"status/3", a_status(users=7))]
    observer._take(SETTINGS.curves_topic, records(SETTINGS.curves_topic, *junk, *forged))
    observer._take(SETTINGS.cuts_topic, records(SETTINGS.cuts_topic, (None, b"x"), (b"a", b"{}"), (b"a", b"\xff")))
    observer._take(SETTINGS.flags_topic, records(SETTINGS.flags_topic, (None, b"x"), (None, None)))
    assert [known.users for known in observer._statuses.values()] == [7]
    assert observer.cuts == []
    assert observer.flags == []
    assert caplog.text.count("left out the record at offset 1") == 1
