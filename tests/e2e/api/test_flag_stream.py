"""Flags over HTTP, listed and streamed: those on Kafka, resumed from any position, on either worker."""

import json
from itertools import islice
from typing import Any

import pytest

from stream_app.core.messages import FlagType
from tests.e2e.api.asking import Event, asked, reply, streaming, url
from tests.e2e.api.stage import Stage
from tests.servers.tracker import following

pytestmark = pytest.mark.timeout(150)

BEGINNING = {"Last-Event-ID": "0"}
FILTERS: list[dict[str, str]] = [
    *({"type": kind.value} for kind in FlagType),
    *({"role": role} for role in ("maven", "connector")),
    {"topic": "phone"},
    {"topic": "Phone "},
    {"population": "all"},
    {"user": "riser-01"},
    {"role": "maven", "type": "entered", "topic": "*"},
    *({name: "null"} for name in ("topic", "population", "user")),
]


@pytest.fixture(scope="module")
def on_kafka(stage: Stage) -> list[list[dict[str, Any]]]:
    """The flags of each partition, in their order, each once."""
    with following(stage.run, stage.run.settings.flags_topic) as follower:
        records = follower.drain().records[stage.run.settings.flags_topic]
    partitions: list[dict[str, dict[str, Any]]] = [{} for _ in range(stage.run.settings.partitions)]
    for record in records:
        flag = json.loads(record.value)
        partitions[record.partition].setdefault(flag["flag_id"], flag)
    return [list(flags.values()) for flags in partitions]


def fits(flag: dict[str, Any], query: dict[str, str]) -> bool:
    names = {"user": "user_id"}
    return all(flag[names.get(name, name)] == value.strip().lower() for name, value in query.items())


def streamed(where: str, count: int, headers: dict[str, str], **query: str) -> list[Event]:
    """The first so many events; none may be a gap."""
    with streaming(where, "/flags/stream", headers, **query) as stream:
        return list(islice(stream.flags(count), count)) if count else []


def test_the_list_is_that_of_kafka_the_newest_first(where: str, on_kafka: list[list[dict[str, Any]]]) -> None:
    everything = sorted((flag for flags in on_kafka for flag in flags), key=lambda flag: flag["flag_id"])
    answer = asked(where, "/flags", limit=500)
    assert answer["since"] is None
    assert len(answer["flags"]) == min(500, len(everything))
    times = [flag["detected_at"] for flag in answer["flags"]]
    assert times == sorted(times, reverse=True)
    assert all(flag in everything for flag in answer["flags"])
    assert asked(where, "/flags", limit=3)["flags"] == answer["flags"][:3]


def test_flags_are_found_by_what_they_are_about(
    where: str, on_kafka: list[list[dict[str, Any]]], subtests: pytest.Subtests
) -> None:
    for query in FILTERS:
        with subtests.test(query=query):
            wanted = {flag["flag_id"] for flags in on_kafka for flag in flags if fits(flag, query)}
            listed = asked(where, "/flags", limit=500, **query)["flags"]
            assert len(listed) == min(500, len(wanted))
            assert {flag["flag_id"] for flag in listed} <= wanted
            events = streamed(where, len(wanted), BEGINNING, **query)
            assert {event.json()["flag_id"] for event in events} == wanted


def test_flags_are_listed_that_were_detected_later(where: str, on_kafka: list[list[dict[str, Any]]]) -> None:
    times = sorted({flag["detected_at"] for flags in on_kafka for flag in flags})
    for since in (times[0], times[len(times) // 2], times[-1]):
        wanted = sum(flag["detected_at"] > since for flags in on_kafka for flag in flags)
        listed = asked(where, "/flags", since=since, limit=500)["flags"]
        assert len(listed) == min(wanted, 500)
        assert all(flag["detected_at"] > since for flag in listed)


def test_from_any_event_on_the_other_worker_sends_exactly_the_rest(
    stage: Stage, on_kafka: list[list[dict[str, Any]]]
) -> None:
    size = sum(map(len, on_kafka))
    everything = streamed(stage.addresses[0], size, BEGINNING)
    for number, flags in enumerate(on_kafka):
        ids = {flag["flag_id"] for flag in flags}
        found = [event.json() for event in everything if event.json()["flag_id"] in ids]
        assert found == flags, f"partition {number} comes in its order"
    for place in (0, 1, size // 3, size - 2):
        rest = streamed(stage.addresses[1], size - 1 - place, {"Last-Event-ID": everything[place].id})
        assert len(rest) == size - 1 - place
        assert {event.data for event in rest} == {event.data for event in everything[place + 1 :]}


def test_the_position_of_the_list_is_where_a_stream_goes_on(stage: Stage) -> None:
    positions = [asked(where, "/flags")["position"] for where in stage.addresses]
    everything = streamed(stage.addresses[0], 2, BEGINNING)
    assert positions[0] == positions[1]
    assert positions[0].count(".") == everything[0].id.count(".") == stage.run.settings.partitions - 1


def test_an_unknown_parameter_is_refused_before_the_stream_begins(where: str) -> None:
    got = reply(where, url("/flags/stream", limit=5), headers=BEGINNING)
    assert (got.status, got.headers["content-type"]) == (400, "application/problem+json")
