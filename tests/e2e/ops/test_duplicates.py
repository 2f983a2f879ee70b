"""Duplicates on real brokers: what is one, and what `stream-app dead-letters duplicates` shows of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.events.murmur2 import partitions_of
from stream_app.settings import Settings
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import Seen, following, tracker, variables
from tests.unit.ops.parts import produce, run

WAIT_S = 60.0
AT_MS = 1_700_000_000_000
PARTITIONS = 4


def _records(kind: str, ids: list[tuple[str, int]]) -> list[tuple[int, bytes, bytes, list[Any]]]:
    return [
        (
            int(partitions_of([user.encode()], PARTITIONS)[0]),
            user.encode(),
            json.dumps({"event_id": number, "ts": AT_MS, "user_id": user, "kind": kind}).encode(),
            [],
        )
        for user, number in ids
    ]


def _shown(settings: Settings) -> Any:
    return json.loads(run(settings, "dead-letters", "duplicates", "--json").output)


@BOTH_BROKERS
@pytest.mark.timeout(240)
def test_ids_of_others_and_of_the_other_kind_are_no_duplicates_and_those_that_are_can_be_seen(
    brokers: str, tmp_path: Path
) -> None:
    name = f"again{abs(hash(brokers))}"
    users = ["eve", "ann", "bob\x1b[31m"]
    with tracker(variables(brokers, name, partitions=str(PARTITIONS)), tmp_path, workers=1) as tracked:
        settings = tracked.settings
        posts, shares = settings.input_topics
        assert "There are none." in run(settings, "dead-letters", "duplicates").output
        produce(settings, posts, _records("post", [(user, 17) for user in users]))
        produce(settings, shares, _records("share", [(user, 17) for user in users]))
        with following(tracked, settings.curves_topic) as follower:
            follower.until_read(6, WAIT_S)
            assert (follower.seen.total("applied"), follower.seen.total("duplicate")) == (6, 0)
            produce(settings, posts, _records("post", [("ann", 17), (users[2], 17)]))
            follower.until_read(8, WAIT_S)
            assert follower.seen.total("duplicate") == 2
            follower.until(lambda seen: _sampled(seen) >= len({*_places()}), "a sample of each partition", WAIT_S)
            follower.drain()
        found = _shown(settings)
        assert found["counted"] == {posts: 2, shares: 0}
        assert {(one["user_id"], one["event_id"], one["kind"]) for one in found["newest"]} == {
            ("ann", "17", "post"),
            (users[2], "17", "post"),
        }
        for one in found["newest"]:
            assert one["topic"] == posts
            assert 0 <= one["first_seen"]["offset"] < one["offset"]
            assert one["first_seen"]["arrived_ms"] <= one["arrived_ms"]
            assert one["first_seen"]["event_time_from_ms"] <= AT_MS < one["first_seen"]["event_time_until_ms"]
        text = run(settings, "dead-letters", "duplicates").output
        assert "2 duplicates from" in text
        assert "\x1b" not in text
        assert "The newest 2 of a sample of 2" in text
        assert len(_shown(settings)["newest"]) == 2
        hidden = run(settings, "dead-letters", "duplicates", "--json", "--limit", 1).output
        assert len(json.loads(hidden)["newest"]) == 1


def _sampled(seen: Seen) -> int:
    """Partitions with a sample."""
    keys = {record.key for record in seen.records[seen.settings.curves_topic]}
    return sum(key.startswith(b"duplicates/") for key in keys)


def _places() -> list[int]:
    found: list[int] = partitions_of([b"ann", b"bob\x1b[31m"], PARTITIONS).tolist()
    return found
