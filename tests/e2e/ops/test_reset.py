"""`stream-app reset`: deletes the counts, begins counting at the given positions, and changes nothing else."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove

from stream_app.core.messages import Role
from stream_app.core.queries import TopUsers
from stream_app.kafka import consumer_group, topic_scan
from stream_app.kafka.clients import KafkaOperationError, open_admin, open_consumer
from stream_app.kafka.topics import changelogs_of, check
from stream_app.ops import reset as reset_module
from stream_app.ops.reset import carry_out, plan
from stream_app.serving.redis.board import Board
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard
from stream_app.settings import Settings
from stream_app.settings.secret import SecretUrl
from tests.e2e.engine.load import START_MS
from tests.servers.brokers import APACHE, BOTH_BROKERS
from tests.servers.tracker import Follower, Tracker, following, tracker, variables
from tests.unit.ops.parts import dead_letter, made, produce, put, run, settings_of

WAIT_S = 30.0
COUNTERS = ("applied", "duplicate", "late", "rejected")


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """A tracker's topics, with something in each."""
    settings = made(settings_of(brokers, f"reset{abs(hash(request.node.nodeid))}"))
    for topic in (settings.curves_topic, settings.cuts_topic, *changelogs_of(settings)):
        produce(settings, topic, [(0, b"key", b"value", [])] * 2)
    put(settings, [dead_letter(settings.posts_topic, 1)])
    produce(settings, settings.posts_topic, [(0, b"ann", b"{}", [])] * 3)
    return settings


def sizes(settings: Settings) -> dict[str, int]:
    """Records in each topic, by the name of its setting."""
    with open_consumer(settings) as reader:
        topics = [found.topic.name for found in check(settings)]
        found = topic_scan.spans(reader, topic_scan.partitions_of(reader, topics))
    return {
        topic.removeprefix(f"{settings.app_id}.").removesuffix("_topic"): sum(
            span.end - span.start for partition, span in found.items() if partition.topic == topic
        )
        for topic in topics
    }


def event(number: int) -> tuple[int, bytes, bytes, list[Any]]:
    value = {"event_id": f"e{number}", "ts": START_MS + number, "user_id": "ann"}
    return 0, b"ann", msgspec.json.encode(value), []


@contextmanager
def counting(environment: dict[str, str], logs: Path) -> Iterator[tuple[Tracker, Follower]]:
    """A worker for the length of the block; it leaves the group at its end."""
    with tracker(environment, logs, workers=1) as tracked:
        settings = tracked.settings
        with following(tracked, settings.curves_topic) as follower:
            yield tracked, follower
    with open_admin(settings) as admin:  # the embedded broker notices that only when another one joins
        members = admin.describe_groups([settings.app_id])[settings.app_id]["members"]
        admin.remove_group_members(settings.app_id, [MemberToRemove(member["member_id"]) for member in members])


@pytest.mark.timeout(150)
@BOTH_BROKERS
def test_a_tracker_that_is_reset_counts_anew_from_the_given_positions(brokers: str, tmp_path: Path) -> None:
    name = f"resets{abs(hash(brokers))}"
    environment = variables(brokers, name, partitions="1")
    with counting(environment, tmp_path) as (tracked, follower):
        settings = tracked.settings
        produce(settings, settings.posts_topic, [event(number) for number in range(3)])
        assert follower.until_read(3, WAIT_S).total("applied") == 3
        refused = run(settings, "reset", "--yes")
        assert refused.exit_code == 1
        assert f"1 worker is running in the group {name}" in refused.stderr
    assert run(settings, "reset", "--yes").exit_code == 0
    with counting(environment, tmp_path) as (_, follower):
        seen = follower.until_read(3, WAIT_S)
        assert [seen.total(counter) for counter in COUNTERS] == [3, 0, 0, 0]
    produce(settings, settings.posts_topic, [event(3)])
    result = run(settings, "reset", "--positions", "latest", "--yes")
    assert result.exit_code == 0, result.output
    with counting(environment, tmp_path) as (_, follower):
        produce(settings, settings.posts_topic, [event(0), event(4)])
        seen = follower.until_read(2, WAIT_S)
        assert [seen.total(counter) for counter in COUNTERS] == [2, 0, 0, 0]
        assert seen.statuses[0].sources[settings.posts_topic].position == 6


@BOTH_BROKERS
def test_a_reset_deletes_only_the_state_and_can_be_repeated(own: Settings) -> None:
    before = sizes(own)
    for _ in range(2):
        assert run(own, "reset", "--yes").exit_code == 0
    after = sizes(own)
    state = {"curves", "cuts", "standings", f"{own.app_id}-segments-changelog"}
    assert {name for name in before if before[name] and not after[name]} == state
    assert {**after, **dict.fromkeys(state, 0)} == {**before, **dict.fromkeys(state, 0)}
    assert (after["dead_letters"], after["posts"]) == (1, 3)
    assert [found.problem for found in check(own) if found.problem] == []


def test_the_outputs_are_deleted_on_request(own: Settings) -> None:
    assert run(own, "reset", "--outputs", "--yes").exit_code == 0
    assert {name: size for name, size in sizes(own).items() if size} == {"posts": 3}


def test_a_dry_run_reports_everything_and_changes_nothing(own: Settings) -> None:
    before = sizes(own)
    result = run(own, "reset", "--positions", "latest", "--dry-run", "--json")
    assert result.exit_code == 0
    report = json.loads(result.output)
    assert (report["dry_run"], report["done"], report["positions"]) == (True, [], "latest")
    holding = dict.fromkeys((own.curves_topic, own.cuts_topic, *changelogs_of(own)), 2) | {own.credits_topic: 0}
    assert {topic["topic"]: topic["records"] for topic in report["topics"]} == holding
    assert report["starts"] == [{"topic": own.posts_topic, "partition": 0, "offset": 3}]
    assert sizes(own) == before


def test_without_a_terminal_the_option_yes_is_required(own: Settings) -> None:
    before = sizes(own)
    result = run(own, "reset")
    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert sizes(own) == before


def test_every_step_that_was_done_is_reported(own: Settings) -> None:
    done = json.loads(run(own, "reset", "--positions", "latest", "--yes", "--json").output)["done"]
    assert done[0] == f"deleted the committed offsets of the group {own.app_id}"
    assert f"deleted {own.cuts_topic} and created it again" in done
    assert done[-1].startswith("recorded the ends of the input topics")
    with open_admin(own) as admin:
        assert {place.topic: offset for place, offset in consumer_group.committed(own, admin).items()} == {
            own.posts_topic: 3
        }


@BOTH_BROKERS
def test_a_reset_cut_short_anywhere_is_completed_by_the_next(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in ("_delete", "_create", "create_needed", "_write_starts"):
        with monkeypatch.context() as patched:

            def crash(*_arguments: object) -> None:
                raise KafkaOperationError("killed here")

            patched.setattr(reset_module, step, crash)
            with pytest.raises(KafkaOperationError):
                list(carry_out(own, plan(own, "latest", outputs=False)))
    assert run(own, "reset", "--yes").exit_code == 0
    assert [found.problem for found in check(own) if found.problem] == []
    assert {name: size for name, size in sizes(own).items() if size} == {"posts": 3, "dead_letters": 1}


@pytest.mark.parametrize("brokers", [APACHE], indirect=True)
def test_topic_settings_of_an_operator_stay(own: Settings) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, own.curves_topic)
    with open_admin(own) as admin:
        given = {"min.cleanable.dirty.ratio": "0.1", "cleanup.policy": "delete"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, own.curves_topic, given)])
        assert run(own, "reset", "--yes").exit_code == 0
        config = admin.describe_configs([resource])["topic"][own.curves_topic]
    assert config["min.cleanable.dirty.ratio"]["value"] == "0.1"
    assert config["cleanup.policy"]["value"] == "compact"


def test_topics_that_would_not_fit_afterwards_are_reported_before_anything_is_deleted(own: Settings) -> None:
    before = sizes(own)
    other = msgspec.structs.replace(own, partitions=3)
    result = run(other, "reset", "--yes")
    assert result.exit_code == 1
    assert f"{own.posts_topic} has 2 partitions and STREAM_APP_PARTITIONS is 3: set it to 2" in result.stderr
    new_inputs = {f"{name}_topic": f"{own.app_id}.new-{name}" for name in ("posts", "shares", "retractions")}
    result = run(msgspec.structs.replace(other, **new_inputs), "reset", "--yes")
    assert f"{own.flags_topic} has 2 partitions and STREAM_APP_PARTITIONS is 3: add --outputs" in result.stderr
    assert sizes(own) == before


async def show(url: str, prefix: str) -> None:
    board = Board(url, prefix, 100, 60.0, 1)
    tops = [TopUsers("tea", "all", Role.MAVEN, [("ann", 1500)])]
    await board.refresh(BoardSnapshot(full=True, partitions=[PartitionBoard(partition=0, tops=tops)]))
    await board.close()


def test_the_board_goes_and_the_keys_of_others_stay(own: Settings, redis_url: str) -> None:
    prefix = f"{own.app_id}*[x]"
    asyncio.run(show(redis_url, prefix))
    asyncio.run(show(redis_url, f"{own.app_id}-other[x]"))
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.set(f"{prefix}:of-somebody-else", 1)
        settings = msgspec.structs.replace(own, redis_url=SecretUrl(redis_url), redis_prefix=prefix)
        keys = json.loads(run(settings, "reset", "--dry-run", "--json").output)["redis_keys"]
        assert keys == 4  # the top list, its part, the index and the writer's mark
        assert run(settings, "reset", "--yes").exit_code == 0
        left = {key for key in client.scan_iter() if key.startswith(own.app_id)}
        assert {key for key in left if key.startswith(prefix)} == {f"{prefix}:of-somebody-else"}
        assert len(left) == 5


def test_a_redis_that_does_not_answer_stops_it_before_anything_is_deleted(own: Settings) -> None:
    before = sizes(own)
    result = run(msgspec.structs.replace(own, redis_url=SecretUrl("redis://127.0.0.1:1/0")), "reset", "--yes")
    assert result.exit_code == 1
    assert "Redis at 127.0.0.1:1" in result.stderr
    assert sizes(own) == before


@BOTH_BROKERS
def test_sent_alerts_are_deleted_only_with_the_outputs_and_their_topics_are_not_created(own: Settings) -> None:
    produce(own, own.alerts_topic, [(0, b"positions", b"{}", [])])
    assert run(own, "reset", "--yes").exit_code == 0
    assert sizes(own)["alerts"] == 1
    assert run(own, "reset", "--outputs", "--yes").exit_code == 0
    assert sizes(own)["alerts"] == 0
    names = [own.alerts_topic, own.undelivered_topic]
    with open_admin(own) as admin:
        admin.delete_topics(names)
    assert run(own, "reset", "--outputs", "--yes").exit_code == 0
    assert not [found.topic.name for found in check(own) if found.exists and found.topic.name in names]
