"""What earlier releases have written, byte for byte: this one reads it, and refuses what a later one may write.

`tests/golden/RELEASE` holds what that release wrote of the values below; nothing in it ever changes. Its folders
`schemas` and `samples` are read by tests/unit/schemas.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from stream_app.core.changelog import segments, status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.replay import OwnershipEpochs
from stream_app.core.events.identity import Hashing
from stream_app.core.exchange.exchange_reader import ExchangeReader
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.messages import Cut, Flag
from stream_app.core.state.watermark import Source
from tests.board_samples import a_cut, a_flag

GOLDEN = Path(__file__).parents[2] / "golden"
SOURCES = {
    "influence.posts": Source(
        position=12, watermark=1_704_067_200_000, applied=9, duplicate=1, late=1, rejected=1, unknown=2
    ),
    "influence.shares": Source(position=3, watermark=1_704_067_100_000, applied=3),
}


def segment(value: bytes) -> Any:
    found = segments.decode(value)
    (run,) = found.runs()
    assert (run.hashing, run.slot_ms, found.header.event_key) == (Hashing.EVENT_ID, 0, 0)
    columns = [column.tolist() for column in found.entries(run.entries) if column is not None]
    names, hashes = (found.scopes(), found.users()), run.hashes.tolist()
    return found.header.sources, found.header.oldest, *names, run.pane, columns, hashes


def read_status(value: bytes) -> Any:
    return msgspec.structs.asdict(status.decode(value))


READERS: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "segment.bin": (
        segment,
        (
            SOURCES,
            4,
            [("all", "*"), ("staff", "tea")],
            ["ann", "bøb"],
            1_893_408,
            [[0, 1, 0], [0, 0, 1], [2, 1, 0], [300, 100, 70_000], [50_000.0, 10_000.0, 4.9e9]],
            [5, 7, 2**63 + 11],
        ),
    ),
    "epoch.bin": (OwnershipEpochs.decode, OwnershipEpochs(((3, 0), (5, 41)))),
    "status.bin": (
        read_status,
        {
            "version": 1,
            "partition": 3,
            "sources": SOURCES,
            "horizon": 1_704_067_200_000,
            "lagging": False,
            "users": 2,
            "rows": 3,
            "segments": 7,
            "state_bytes": 4096,
        },
    ),
    "flag.json": (msgspec.json.Decoder(Flag).decode, a_flag("ann", "tea", flag_id="f1", eta_s=None)),
    "cut.json": (msgspec.json.Decoder(Cut).decode, a_cut("tea")),
}


PASSED_OVER = {"curves.bin"}
"""Up to 0.3 workers exchanged whole curves; what they left on the topic says nothing to this release."""


class Kind(NamedTuple):
    """One file of a release."""

    file: Path

    def read(self) -> None:
        """Fails unless what it says is what was written."""
        reader, expected = READERS[self.file.name]
        found = reader(self.file.read_bytes())
        if isinstance(expected, dict):
            found = {name: value for name, value in found.items() if name in expected}  # later releases add some
        assert found == expected

    def read_unknown(self) -> None:
        """Raises FormatError: the same, as a release would write it that nobody knows yet."""
        _, *rest = msgspec.msgpack.decode(self.file.read_bytes())
        READERS[self.file.name][0](msgspec.msgpack.encode([99, *rest]))


def kinds() -> list[Kind]:
    """Every file of every release."""
    files = sorted(GOLDEN.glob("*/*.*"))
    return [Kind(file) for file in files if file.suffix != ".whl" and file.name not in PASSED_OVER]


def name(kind: Kind) -> str:
    return kind.file.relative_to(GOLDEN).as_posix()


def test_every_kind_of_message_has_a_file() -> None:
    assert {kind.file.name for kind in kinds()} == READERS.keys()


@pytest.mark.parametrize("kind", kinds(), ids=name)
def test_what_an_earlier_release_has_written_is_read(kind: Kind) -> None:
    kind.read()


def test_whole_curves_of_earlier_releases_are_passed_over() -> None:
    followed = FollowedCuts()
    reader = ExchangeReader(followed, 8)
    for file in sorted(GOLDEN.glob("*/curves.bin")):
        reader.take(b"curves/3/17", file.read_bytes())
    assert (reader.statuses, followed.version) == ({}, 0)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.file.suffix == ".bin"], ids=name)
def test_a_version_that_nobody_knows_is_refused(kind: Kind) -> None:
    with pytest.raises(FormatError, match="version 99, this release reads 1"):
        kind.read_unknown()
