"""Letters without a value on real brokers: `stream-app dead-letters` lists, shows and replays them."""

import json

import msgspec
import pytest

from stream_app.core.events.dead_letter import DeadLetter, Origin, Shared
from stream_app.kafka.clients import NO_VALUE, open_producer
from stream_app.settings import Settings
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.raw_batches import bomb, produce_raw
from tests.unit.engine.packing import numbered
from tests.unit.ops.parts import dead_letter, made, produce, records, run, settings_of

EVENT = json.dumps({"event_id": "e", "ts": 1, "user_id": "ann", "text": "x" * 100_000}).encode()


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """A tracker whose posts hold five records, and letters about four of them, and about one that is gone."""
    settings = made(settings_of(brokers, f"elsewhere{abs(hash(request.node.nodeid))}"))
    posts, _ = settings.input_topics
    produce(settings, posts, [(1, b"ann", EVENT if number == 3 else b"%d" % number, []) for number in range(5)])
    shared = Shared(4, {"not-json": 2, "invalid": 1}, [(0, 1), (4, 4)])
    letters = [
        dead_letter(posts, 3, partition=1, value=EVENT, reason="oversized").shortened(),
        dead_letter(posts, 77, partition=1, value=EVENT, reason="oversized").shortened(),
        DeadLetter(Origin(posts, 1, 0), None, None, "too-many", "3 records share this letter", shared=shared),
    ]
    put_bare(settings, *letters)
    return settings


@BOTH_BROKERS
def test_letters_without_a_value_are_counted_shown_and_replayed_from_where_the_records_came(own: Settings) -> None:
    posts, _ = own.input_topics
    listed = json.loads(run(own, "dead-letters", "list", "--json").output)
    assert {pile["reason"]: (pile["records"], pile["distinct"], pile["not_replayable"]) for pile in listed} == {
        "oversized": (2, 2, 0),
        "not-json": (2, 2, 0),
        "invalid": (1, 1, 0),
    }
    assert "100," in run(own, "dead-letters", "show", posts, 1, 3).output
    assert "of 3 records at offsets 0 to 4" in run(own, "dead-letters", "show", posts, 1, 1).output
    shown = json.loads(run(own, "dead-letters", "show", posts, 1, 4, "--json").output)
    assert shown["shared"] == {
        "records": 3,
        "last": 4,
        "reasons": {"not-json": 2, "invalid": 1},
        "ranges": [[0, 1], [4, 4]],
    }
    result = run(own, "dead-letters", "replay", "--all", "--json")
    assert result.exit_code == 1
    report = msgspec.json.decode(result.output)
    assert {each["reason"]: each["records"] for each in report["sent"]} == {"oversized": 1, "too-many": 3}
    assert report["skipped"] == {"not in the topic it came from any more": 1}
    again = records(own, posts, 9)[5:]
    assert sorted(record.value for record in again) == sorted([EVENT, b"0", b"1", b"4"])
    repeated = json.loads(run(own, "dead-letters", "replay", "--all", "--json").output)
    assert repeated["sent"] == []


@BOTH_BROKERS
def test_a_batch_that_could_not_be_read_says_what_to_do_and_is_replayed_once_it_can_be_read(brokers: str) -> None:
    own = made(settings_of(brokers, f"unread{abs(hash(brokers))}", max_unpacked_bytes=100_000))
    posts, _ = own.input_topics
    assert produce_raw(brokers, posts, 1, bomb(numbered(range(5)), "zstd", 500_000)) == 0
    shared = Shared(4, {"batch-too-large": 5}, [(0, 4)])
    letter = DeadLetter(Origin(posts, 1, 0), None, None, "batch-too-large", "raise the bound", shared=shared)
    put_bare(own, letter)
    (pile,) = json.loads(run(own, "dead-letters", "list", "--json").output)
    assert (pile["reason"], pile["records"], pile["distinct"]) == ("batch-too-large", 5, 5)
    shown = run(own, "dead-letters", "show", posts, 1, 3).output
    assert "5 records" in shown
    assert "of a record batch that could not be read" in shown
    assert "PSEUDONYMS" not in shown
    refused = run(own, "dead-letters", "replay", "--all")
    assert refused.exit_code == 1
    assert "1 (its record batch cannot be read, or is gone)" in refused.output
    assert "STREAM_APP_MAX_UNPACKED_BYTES" in refused.output
    assert "PSEUDONYMS" not in refused.output
    raised = msgspec.structs.replace(own, max_unpacked_bytes=1_000_000)
    report = json.loads(run(raised, "dead-letters", "replay", "--all", "--json").output)
    assert report["sent"] == [{"reason": "batch-too-large", "topic": posts, "records": 5}]


def put_bare(settings: Settings, *letters: DeadLetter) -> None:
    """Write letters without a value as workers do."""
    with open_producer(settings) as producer:
        for letter in letters:
            value = NO_VALUE if letter.key is None else None
            producer.send(settings.dead_letters_topic, value, letter.key, headers=letter.headers(), partition=1)
