"""`stream-app dead-letters` on real brokers: what it lists and shows, and the way of a replayed record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.events.murmur2 import partitions_of
from stream_app.settings import Settings
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import Follower, following, tracker, variables
from tests.unit.ops.parts import dead_letter, made, produce, put, records, run, settings_of

WAIT_S = 30.0


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """The topics of a tracker, with dead letters in them."""
    settings = made(settings_of(brokers, f"letters{abs(hash(request.node.nodeid))}"))
    posts, shares = settings.input_topics
    twice = dead_letter(posts, 7, partition=1, message="unexpected \x1b[31m end")
    put(
        settings,
        [dead_letter(posts, 6), twice, twice, dead_letter(shares, 7, key=None, value=b"\xff\x00", reason="invalid")],
    )
    put(settings, [dead_letter(posts, 9, reason="late")], settings.late_topic)
    produce(settings, settings.dead_letters_topic, [(0, b"k", b"put here by somebody else", [])])
    return settings


def lines(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line.strip()]


@BOTH_BROKERS
def test_dead_letters_are_listed_by_reason_and_topic(own: Settings) -> None:
    posts, shares = own.input_topics
    listed = run(own, "dead-letters", "list")
    assert listed.exit_code == 0
    rows = lines(listed.output)
    assert ["not-json", posts, "3", "2", "0"] in rows
    assert ["invalid", shares, "1", "1", "0"] in rows
    assert "unexpected \\u001b[31m end" in listed.output
    assert "late" not in listed.output
    found = json.loads(run(own, "dead-letters", "list", "--late", "--json").output)
    assert {(pile["reason"], pile["records"], pile["distinct"]) for pile in found} == {
        ("not-json", 3, 2),
        ("invalid", 1, 1),
        ("late", 1, 1),
    }
    assert all(pile["first_ms"] <= pile["last_ms"] for pile in found)
    assert len(json.loads(run(own, "dead-letters", "list", "--reason", "late", "--json").output)) == 1
    assert json.loads(run(own, "dead-letters", "list", "--since", "2999-01-01", "--json").output) == []


def test_dead_letters_are_shown_for_people_and_for_programs(own: Settings) -> None:
    posts, shares = own.input_topics
    shown = run(own, "dead-letters", "show", "--reason", "invalid").output
    assert lines(shown)[0] == ["invalid", shares, "0", "7"]
    assert "ff 00  (hex: 2 bytes that are not UTF-8)" in shown
    assert "unexpected \\u001b[31m end" in run(own, "dead-letters", "show", posts, 1, 7).output
    answers = [json.loads(line) for line in run(own, "dead-letters", "show", "--json").output.splitlines()]
    assert [answer["set_aside"]["timestamp_ms"] for answer in answers] == sorted(
        (answer["set_aside"]["timestamp_ms"] for answer in answers), reverse=True
    )
    assert len(answers) == 4
    (odd,) = [answer for answer in answers if answer["reason"] == "invalid"]
    assert (odd["key"], odd["value"], odd["value_base64"]) == (None, None, "/wA=")
    assert odd["origin"] == {"topic": shares, "partition": 0, "offset": 7}
    assert (odd["attempts"], odd["replayed"]) == (0, False)
    limited = run(own, "dead-letters", "show", "--json", "--limit", 1).output.splitlines()
    assert [json.loads(line) for line in limited] == answers[:1]


def test_an_unknown_dead_letter_is_reported_with_status_1(own: Settings) -> None:
    result = run(own, "dead-letters", "show", own.posts_topic, 0, 999)
    assert result.exit_code == 1
    assert result.stderr == f"There are none of these in {own.dead_letters_topic}.\n"
    assert run(own, "dead-letters", "show", own.posts_topic, "x").exit_code == 2


def test_a_missing_topic_is_reported(brokers: str) -> None:
    result = run(settings_of(brokers, "no-letters"), "dead-letters", "list")
    assert result.exit_code == 1
    assert "has no topic no-letters.dead_letters_topic: create it with `stream-app topics create`" in result.stderr


def test_a_replay_needs_a_selection(own: Settings) -> None:
    result = run(own, "dead-letters", "replay")
    assert result.exit_code == 2
    assert "--reason NAME, or --all" in result.stderr


@BOTH_BROKERS
def test_a_replay_sends_each_dead_letter_once_however_often_it_is_run(own: Settings) -> None:
    posts, _ = own.input_topics
    planned = json.loads(run(own, "dead-letters", "replay", "--all", "--dry-run", "--json").output)
    assert planned["sent"] == [
        {"reason": "invalid", "topic": own.shares_topic, "records": 1},
        {"reason": "not-json", "topic": posts, "records": 2},
    ]
    assert "There is nothing to send." in run(own, "dead-letters", "replay", "--reason", "none").output
    for sent, skipped in ((2, {"there twice": 1}), (0, {"replayed before": 3})):
        result = run(own, "dead-letters", "replay", "--reason", "not-json", "--json")
        assert result.exit_code == 0
        report = json.loads(result.output)
        assert sum(entry["records"] for entry in report["sent"]) == sent
        assert report["skipped"] == skipped
    put(own, [dead_letter(posts, 7, partition=1, message="unexpected end")])  # written again after a crash
    assert json.loads(run(own, "dead-letters", "replay", "--reason", "not-json", "--json").output)["sent"] == []
    came = records(own, posts, 2)
    assert [(record.partition, record.key, record.value) for record in came] == [(0, b"ann", b"{"), (1, b"ann", b"{")]
    assert ["not-json", posts, "4", "2", "2"] in lines(run(own, "dead-letters", "list").output)
    assert "replayed since" in run(own, "dead-letters", "show", posts, 1, 7).output


def test_a_dead_letter_that_cannot_be_sent_gives_status_1(own: Settings) -> None:
    put(own, [dead_letter(own.posts_topic, 70, attempts=3, reason="invalid")])
    result = run(own, "dead-letters", "replay", "--reason", "invalid")
    assert result.exit_code == 1
    assert "Left out: 1 (replayed too often)." in result.output


def test_a_record_without_a_value_is_never_sent_and_reported_as_not_replayable(own: Settings) -> None:
    posts, shares = own.input_topics
    put(own, [dead_letter(shares, 8, value=None, reason="empty"), dead_letter(posts, 8, value=b"", reason="empty")])
    found = json.loads(run(own, "dead-letters", "list", "--json").output)
    assert {pile["reason"]: pile["not_replayable"] for pile in found} == {"empty": 1, "not-json": 0, "invalid": 0}
    assert "1 cannot be replayed: no value" in run(own, "dead-letters", "list").output
    assert "cannot be replayed: no value" in run(own, "dead-letters", "show", posts, 0, 8).output
    report = replayed(own, "--all", status=1)
    assert {entry["reason"] for entry in report["sent"]} == {"not-json", "invalid"}
    assert (report["skipped"], report["not_replayable"]) == ({"there twice": 1, "no value": 2}, 2)
    assert [record.value for record in (*records(own, posts, 2), *records(own, shares, 1))] == [b"{", b"{", b"\xff\x00"]
    assert "Not replayable: 2 (no value)." in run(own, "dead-letters", "replay", "--reason", "empty").output


def bad(number: int) -> bytes:
    return json.dumps({"event_id": f"e{number}", "ts": 1, "user_id": "bob", "topics": 5}).encode()


def counted(follower: Follower, **wanted: int) -> Mapping[str, int]:
    seen = follower.until(
        lambda seen: all(seen.total(name) >= count for name, count in wanted.items()), f"{wanted}", WAIT_S
    )
    return {name: seen.total(name) for name in wanted}


@pytest.mark.timeout(120)
@BOTH_BROKERS
def test_a_replayed_record_is_counted_or_comes_back_until_it_may_no_more(brokers: str, tmp_path: Path) -> None:
    """Rejected by a worker, replayed, rejected again with one attempt more; and counted once its key is another."""
    name = f"replays{abs(hash(brokers))}"
    with tracker(variables(brokers, name, partitions="4"), tmp_path, workers=1) as tracked:
        settings = tracked.settings
        place = int(partitions_of([b"bob"], 4)[0])
        event = json.dumps({"event_id": "good", "ts": 1_700_000_000_000, "user_id": "bob"}).encode()
        produce(settings, settings.posts_topic, [(place, b"bob", bad(1), []), (place, b"carla", event, [])])
        with following(tracked, settings.curves_topic) as follower:
            assert counted(follower, rejected=2) == {"rejected": 2}
            for attempt in (1, 2):
                report = replayed(settings, "--reason", "invalid", "--max-attempts", 2)
                assert [entry["records"] for entry in report["sent"]] == [1]
                counted(follower, rejected=2 + attempt)
            report = replayed(settings, "--reason", "invalid", "--max-attempts", 2, status=1)
            assert (report["sent"], report["skipped"]) == ([], {"replayed before": 2, "replayed too often": 1})
            replayed(settings, "--reason", "key-not-user", "--rekey")
            assert counted(follower, applied=1) == {"applied": 1}
            assert follower.seen.total("rejected") == 4
        shown = run(settings, "dead-letters", "show", "--reason", "invalid", "--json").output.splitlines()
        found = sorted(map(json.loads, shown), key=lambda answer: answer["origin"]["offset"])
        assert [(answer["attempts"], answer["replayed"]) for answer in found] == [(0, True), (1, True), (2, False)]
        assert {answer["value"] for answer in found} == {bad(1).decode()}


@pytest.mark.timeout(120)
@BOTH_BROKERS
def test_with_pseudonyms_dead_letters_cannot_be_replayed_and_every_command_says_where_the_records_are(
    brokers: str, tmp_path: Path
) -> None:
    given = {"partitions": "4", "pseudonyms": "true", "person_key": "sixteen characters"}
    with tracker(variables(brokers, f"bare{abs(hash(brokers))}", **given), tmp_path, workers=1) as tracked:
        settings = tracked.settings
        posts, place = settings.posts_topic, int(partitions_of([b"bob"], 4)[0])
        produce(settings, posts, [(place, b"bob", value, []) for value in (bad(1), bad(2), b"")])
        with following(tracked, settings.curves_topic) as follower:
            assert counted(follower, rejected=3) == {"rejected": 3}
        found = json.loads(run(settings, "dead-letters", "list", "--json").output)
        assert {group["reason"]: (group["distinct"], group["not_replayable"]) for group in found} == {
            "invalid": (2, 2),
            "empty": (1, 1),
        }
        listed = words(run(settings, "dead-letters", "list").output)
        assert "2 cannot be replayed: key and value not kept" in listed
        assert listed.count("As long as Kafka keeps the record") == 1
        shown = words(run(settings, "dead-letters", "show", posts, place, 1).output)
        assert "cannot be replayed: key and value not kept" in shown
        assert f"as long as Kafka keeps it: kafka-console-consumer.sh --bootstrap-server … --topic {posts}" in shown
        assert f"--partition {place} --offset 1 " in shown
        answers = map(json.loads, run(settings, "dead-letters", "show", "--json").output.splitlines())
        assert [(answer["replayable"], answer["value"]) for answer in answers] == [(False, None)] * 3
        report = replayed(settings, "--all", status=1)
        assert (report["sent"], report["not_replayable"]) == ([], 3)
        assert report["skipped"] == {"key and value not kept": 2, "no value": 1}
        refused = run(settings, "dead-letters", "replay", "--reason", "invalid")
        assert refused.exit_code == 1
        assert "Not replayable: 2 (key and value not kept)." in refused.output
        assert "As long as Kafka keeps the record" in words(refused.output)
        assert [record.value for record in records(settings, posts, 3)] == [bad(1), bad(2), b""]


def words(output: str) -> str:
    return " ".join(output.split())


def replayed(settings: Settings, *arguments: object, status: int = 0) -> Any:
    result = run(settings, "dead-letters", "replay", *arguments, "--json", "--yes")
    assert result.exit_code == status, result.output
    return json.loads(result.output)
