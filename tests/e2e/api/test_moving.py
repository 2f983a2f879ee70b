"""While panes end and workers come and go: flags go on, history stays, and a query without an answer is a problem."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kafka import KafkaProducer

from stream_app.core.cuts.history import PastKey
from tests.e2e.api.asking import asked, of_user, reply, streaming, url
from tests.e2e.api.moving import GIVEN, PANES, USERS, Moving
from tests.servers.tracker import tracker, variables

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def moving(embedded_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    environment = variables(embedded_brokers, "moving", **GIVEN)
    with tracker(environment, tmp_path_factory.mktemp("moving"), workers=2) as run:
        moving = Moving(run)
        moving.send()
        for where in moving.addresses:
            moving.until(lambda where=where: moving.is_complete(where), "complete")  # type: ignore[misc]
        yield moving


def history(where: str) -> dict[int, dict[str, Any]]:
    """The moments of a cut, by the end of the window."""
    moments = asked(where, "/cuts/history", topic="tea")["moments"]
    ends = [moment["window_end"] for moment in moments]
    assert ends == sorted(set(ends))
    return {moment["window_end"]: moment for moment in moments}


def now(where: str) -> dict[str, Any]:
    """The cut, as a moment says it."""
    cut = asked(where, "/curve", topic="tea")["cut"]
    return {name: cut[name] for name in ("users", "total", "k", "threshold", "coverage", "gini")}


def test_flags_come_as_they_are_raised_and_go_on_elsewhere_exactly_once(moving: Moving) -> None:
    first, second = moving.addresses
    # A worker may not have read the newest flags yet: the stream begins at the end of the topic.
    ends = moving.flag_ends()
    with streaming(first, "/flags/stream", {"Last-Event-ID": ".".join(map(str, ends))}) as stream:
        moving.send(2)
        seen = stream.flags(3)
    with streaming(second, "/flags/stream", {"Last-Event-ID": seen[2].id}) as stream:
        moving.send()
        partitions = moving.flag_ids(ends)
        rest = stream.flags(sum(map(len, partitions)) - 3)
    found = [event.json()["flag_id"] for event in (*seen[:3], *rest)]
    assert len(found) == len(set(found))
    for ids in partitions:
        assert [flag_id for flag_id in found if flag_id in ids] == ids


def test_a_flag_that_comes_again_is_not_sent_again(moving: Moving) -> None:
    topic = moving.run.settings.flags_topic
    (old, *_), *_ = (records for records in moving.records(topic) if records)
    new = json.loads(old.value) | {"flag_id": "a new one"}
    producer = KafkaProducer(bootstrap_servers=moving.run.settings.brokers)
    with ExitStack() as stack:
        streams = [
            stack.enter_context(streaming(where, "/flags/stream", user=new["user_id"])) for where in moving.addresses
        ]
        for value in (old.value, b"no flag", None, json.dumps(new).encode()):
            producer.send(topic, key=old.key, value=value, partition=old.partition).get(10)
        for stream in streams:
            (event,) = stream.flags(1)
            assert event.json() == new
    producer.close()


def test_history_has_what_each_cut_was_when_a_pane_ended_even_after_all_workers_were_restarted(moving: Moving) -> None:
    wanted = {}
    for _ in range(3):
        moving.send()
        wanted[moving.end_ms(moving.pane)] = now(moving.addresses[0])
    for where in moving.addresses:
        moving.until(lambda where=where: history(where).keys() >= wanted.keys(), "the moments")  # type: ignore[misc]
    before = {end: moment for end, moment in history(moving.addresses[0]).items() if end in wanted}
    for end, cut in wanted.items():
        assert {name: before[end][name] for name in cut} == cut
    position = asked(moving.addresses[0], "/flags")["position"]
    for worker in moving.running():
        worker.process.terminate()
    for worker in [*moving.run.workers]:
        assert worker.process.wait(20) == 0
    moving.start(2)
    for where in moving.addresses:
        after = history(where)
        assert {end: after[end] for end in wanted} == before
        assert asked(where, "/flags")["position"] >= position
    moving.send()
    for where in moving.addresses:
        moving.until(lambda where=where: history(where).keys() > wanted.keys(), "one more moment")  # type: ignore[misc]


def test_history_ends_with_the_window_and_is_deleted_from_kafka(moving: Moving) -> None:
    moving.send(PANES + 2)
    first = moving.end_ms(moving.pane) - (PANES - 1) * 300_000
    for where in moving.addresses:
        assert min(history(where)) >= first

    def kept() -> list[int]:
        (records,) = moving.records(moving.run.settings.curves_topic)
        last = {record.key: record.value for record in records}
        return [PastKey.decode(key).pane for key, value in last.items() if key.startswith(b"past/") and value]

    oldest = first // 300_000 - 1
    moving.until(lambda: min(kept()) >= oldest - 1, f"nothing before pane {oldest}")


def test_a_stream_that_is_resumed_while_a_worker_starts_has_exactly_the_rest(moving: Moving) -> None:
    """Right after a restart everybody comes back, before the worker has read the flags again."""
    with streaming(moving.addresses[0], "/flags/stream", {"Last-Event-ID": "0"}) as stream:
        total = sum(map(len, moving.flag_ids()))
        everything = stream.flags(total)
    worker = moving.run.start()
    moving.until(lambda: worker.has_said("/readyz on http://"), "an address")
    where = str(worker.said_of_itself("/readyz on http://"))
    with streaming(where, "/flags/stream", {"Last-Event-ID": everything[-3].id}) as stream:
        rest = stream.flags(2)
        assert {event.data for event in rest} == {event.data for event in everything[-2:]}
    with streaming(where, "/live") as stream:
        flags = stream.flags(30)
        assert [event.id for event in flags] == [event.id for event in stream.events if event.name == "flag"]
    moving.until(lambda: moving.is_complete(where), "complete")
    worker.process.terminate()
    assert worker.process.wait(20) == 0
    for other in moving.addresses:
        moving.until(lambda other=other: moving.is_complete(other), "complete")  # type: ignore[misc]


def test_a_worker_that_is_killed_is_missing_until_its_partitions_have_moved_and_no_answer_fails(moving: Moving) -> None:
    before = asked(moving.addresses[0], "/influencers", topic="tea", limit=500)
    users = [one["user_id"] for one in before["influencers"]]
    ranks = {one["user_id"]: one["rank"] for one in before["influencers"]}
    victim, *_ = moving.running()
    victim.kill()
    (where,) = moving.addresses
    missing: set[int] = set()
    statuses: set[int] = set()

    def is_complete() -> bool:
        answer = asked(where, "/influencers", topic="tea", limit=500)
        missing.update(answer["missing_partitions"])
        assert all(ranks[one["user_id"]] == one["rank"] for one in answer["influencers"])
        assert answer["total"] == len(answer["influencers"])
        assert bool(answer["missing_partitions"]) == (answer["total"] < USERS)
        for path in (of_user(users[0]), of_user(users[7], "/why")):
            got = reply(where, url(path, **({"topic": "tea"} if "why" in path else {})))
            statuses.add(got.status)
        for path in ("/topics", "/cuts", "/curve", "/flags", "/health", "/cuts/history"):
            asked(where, path)
        return bool(answer["total"] == USERS)

    moving.until(is_complete, "everybody is there again")
    assert missing
    assert statuses <= {200, 503}
    after = asked(where, "/influencers", topic="tea", limit=500)
    assert [one["value"] for one in after["influencers"]] == [one["value"] for one in before["influencers"]]
    assert {one["user_id"] for one in after["influencers"]} == set(users)
    known = asked(where, "/cuts/history", topic="tea")["moments"]
    moving.send(2)  # a new owner goes on with the history
    moving.until(lambda: history(where).keys() > {moment["window_end"] for moment in known[2:]}, "more moments")


def test_a_worker_with_open_streams_ends_on_a_signal(moving: Moving) -> None:
    worker = moving.running()[-1]
    where = moving.addresses[-1]
    with ExitStack() as stack:
        for path in ("/live", "/flags/stream", "/live"):
            stream = stack.enter_context(streaming(where, path))
            if path == "/live":
                stream.until(lambda events: len(events) > 3, 20)
        worker.process.terminate()
        assert worker.process.wait(20) == 0
        assert not worker.has_said("Traceback"), worker.said()
