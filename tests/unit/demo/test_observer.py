"""What the demo observes: buckets of curves in parts, and records that nobody can read."""

from types import SimpleNamespace
from typing import Any

import msgspec

from stream_app.core.cuts.curve_parts import encoded
from stream_app.core.messages import ROLES
from stream_app.demo.observer import Observer
from stream_app.settings import Settings
from tests.unit.core.cuts.test_curve_parts import LEAST, bucket
from tests.unit.core.cuts.test_curve_reader import SCOPES, a_status
from tests.unit.demo.test_demo_parts import cut

SETTINGS = Settings()


def records(topic: str, *pairs: tuple[bytes | None, bytes | None]) -> list[Any]:
    return [
        SimpleNamespace(topic=topic, partition=0, offset=number, key=key, value=value)
        for number, (key, value) in enumerate(pairs)
    ]


def test_cuts_of_a_bucket_in_parts_are_compared_as_a_whole() -> None:
    observer = Observer(SETTINGS)
    values = encoded(bucket(SCOPES, [[(5, 1)]] * len(SCOPES)), LEAST)
    assert len(values) > 1
    parts = [(b"curves/3/9/%d" % number, value) for number, value in enumerate(values)]
    observer._take(SETTINGS.curves_topic, records(SETTINGS.curves_topic, *parts, (b"curves/3/9/8", None)))
    numbers = {"users": 1, "total": 5, "k": 1, "threshold": 5}
    published = [
        cut(topic=scope.topic, role=role, flagged=place * factor, emerging=place * factor, **numbers)
        for place, scope in enumerate(SCOPES)
        for role, factor in zip(ROLES, (1, 2), strict=True)
    ]
    pairs = [(b"%d" % number, msgspec.json.encode(one)) for number, one in enumerate(published)]
    observer._take(SETTINGS.cuts_topic, records(SETTINGS.cuts_topic, *pairs))
    assert observer._is_published()


def test_a_record_that_cannot_be_read_does_not_end_it(caplog: Any) -> None:
    observer = Observer(SETTINGS)
    junk = [(None, b"x"), (b"status/1", b"\xc1"), (b"curves/1/2", b"\xc1"), (b"curves/1/2", None), (b"past/1", b"x")]
    forged = [(b"status/3", a_status(partition=2**40)), (b"status/3", a_status(users=7))]
    observer._take(SETTINGS.curves_topic, records(SETTINGS.curves_topic, *junk, *forged))
    observer._take(SETTINGS.cuts_topic, records(SETTINGS.cuts_topic, (None, b"x"), (b"a", b"{}"), (b"a", b"\xff")))
    observer._take(SETTINGS.flags_topic, records(SETTINGS.flags_topic, (None, b"x"), (None, None)))
    assert [known.users for known in observer._statuses.values()] == [7]
    assert observer.cuts == []
    assert observer.flags == []
    assert caplog.text.count("left out the record at offset 1") == 1
