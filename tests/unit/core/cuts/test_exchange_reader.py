"""The curve reader, as of workers and commands: buckets are whole, and nobody but the owner is believed."""

import msgspec
import pytest
from stream_app.core.cuts.curve_parts import encoded
from stream_app.core.cuts.curve_reader import CurveReader
from stream_app.core.cuts.global_cuts import GlobalCuts
from tests.unit.core.cuts.test_curve_parts import LEAST, bucket

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts import curve_message
from stream_app.core.state.scopes import ScopeName

PARTITIONS = 8
SCOPES = [ScopeName("all", f"{number}" * 100) for number in range(400)]


def a_status(**given: int) -> bytes:
    made = status.Status(status.VERSION, 3, {}, 10, False, 1, 2, 3, 4)
    return status.encode(msgspec.structs.replace(made, **given))


def readers() -> tuple[CurveReader, GlobalCuts]:
    cuts = GlobalCuts(0.8)
    return CurveReader(cuts, PARTITIONS), cuts


def test_a_bucket_in_parts_counts_as_a_whole_and_a_deleted_part_changes_nothing() -> None:
    reader, cuts = readers()
    values = encoded(bucket(SCOPES, [[(5, 1)]] * len(SCOPES)), LEAST)
    assert len(values) > 1
    for number, value in enumerate(values):
        reader.take(b"curves/3/9/%d" % number, value)
    reader.take(b"curves/3/9/9", None)
    cuts.recompute()
    assert sorted(cuts.names) == sorted(SCOPES)
    assert len(cuts.scopes_of(9)) == len(SCOPES)


def test_what_a_former_owner_publishes_late_is_left_out_and_remembered() -> None:
    reader, cuts = readers()
    reader.take(b"status/3", a_status(epoch=8, users=5))
    reader.take(b"status/3", a_status(epoch=7, users=6))
    reader.take(b"curves/3/9", curve_message.encode(bucket(SCOPES[:1], [[(5, 1)]])))
    assert reader.statuses[3].users == 5
    assert reader.overwritten == {3}
    assert cuts.recompute() == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"status/8", a_status(partition=PARTITIONS)),
        (b"status/3", a_status(partition=2**59)),
        (b"status/3", a_status(users=2**63)),
        (b"status/3", b"\xc1"),
        (b"curves/9/9", curve_message.encode(msgspec.structs.replace(bucket([], []), partition=PARTITIONS))),
        (b"curves/3/9", b"\x93\x01"),
    ],
)
def test_what_no_worker_can_have_written_changes_nothing(key: bytes, value: bytes) -> None:
    reader, cuts = readers()
    with pytest.raises(FormatError):
        reader.take(key, value)
    assert reader.statuses == {}
    assert cuts.recompute() == []
