"""The AsyncAPI document: valid, complete, with references that lead somewhere and examples that are what they say."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from stream_app.core.changelog.standing_records import standing_key
from stream_app.core.messages import Cut, Flag
from stream_app.engine.output_topics import cut_key
from stream_app.kafka.topics import topics_of
from stream_app.settings import Settings
from tests.tools.schemas import FOLDER, TopicSchema, schema_of, topic_schemas
from tests.tools.schemas.asyncapi import FILE_NAME, text
from tests.unit.schemas.document import CHANNELS, DOCUMENT, REGISTRY, problems
from tests.unit.schemas.specification import NpmMissing, asyncapi_schema

TOPICS = topics_of(Settings())
MESSAGES = {
    f"{topic}: {name}": message for topic, channel in CHANNELS.items() for name, message in channel["messages"].items()
}
EXAMPLES = [(name, example) for name, message in MESSAGES.items() for example in message.get("examples", ())]
SPOILT: dict[str, object] = {
    "info": {},
    "operations/sendFlags/action": "emit",
    "channels/cuts/bindings/kafka/partitions": 0,
    "channels/cuts/bindings/kafka/topicConfiguration/cleanup.policy": ["keep"],
    "channels/flags/messages/flag/bindings/kafka/key/type": "text",
    "channels/flags/messages/flag/examples": [{}],
}


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    try:
        return Draft7Validator(asyncapi_schema(DOCUMENT["asyncapi"]))
    except NpmMissing as missing:
        pytest.skip(str(missing))


def key_of(topic: str, message: str) -> dict[str, Any]:
    key: dict[str, Any] = MESSAGES[f"{topic}: {message}"]["bindings"]["kafka"]["key"]
    return key


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from references(inner)


def refusals(message: dict[str, Any], example: dict[str, Any]) -> list[str]:
    headers, payload = example.get("headers", {}), example["payload"]
    return [*problems(message.get("headers"), headers), *problems(message["payload"], payload)]


def test_the_file_is_what_the_generator_makes() -> None:
    assert (FOLDER / FILE_NAME).read_text() == text(), "run `python -m tests.tools.schemas`"


def test_the_document_is_valid_by_the_official_schema(official: Draft7Validator) -> None:
    assert [f"{error.json_path}: {error.message}" for error in official.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("path", SPOILT)
def test_the_official_schema_looks_into_every_corner(official: Draft7Validator, path: str) -> None:
    spoilt = copy.deepcopy(DOCUMENT)
    *way, last = path.split("/")
    part = spoilt
    for name in way:
        part = part[name]
    part[last] = SPOILT[path]
    assert not official.is_valid(spoilt)


def test_the_document_has_the_topics_of_the_tracker_and_no_others() -> None:
    assert list(CHANNELS) == [topic.name for topic in TOPICS]


def test_a_topic_is_in_the_document_as_it_is_created(subtests: pytest.Subtests) -> None:
    for topic in TOPICS:
        with subtests.test(topic=topic):
            bindings = CHANNELS[topic.name]["bindings"]["kafka"]
            assert bindings["partitions"] == topic.partitions
            documented = {
                name: ",".join(value) if isinstance(value, list) else str(value)
                for name, value in bindings["topicConfiguration"].items()
            }
            assert documented == {"cleanup.policy": "delete"} | topic.config


def test_workers_receive_what_comes_in_and_send_what_goes_out() -> None:
    channels: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in DOCUMENT["operations"].values():
        channels[operation["action"]].add(operation["channel"]["$ref"].removeprefix("#/channels/"))
    kept = {"cuts", "standings", "curves", "additions", "credits", "segments", "erasures"}
    assert channels == {
        "receive": {"posts", "shares", "retractions", "flags", *kept},
        "send": {"flags", "deadLetters", "late", *kept},
    }


def test_every_topic_says_who_sends_and_who_receives(subtests: pytest.Subtests) -> None:
    for topic in TOPICS:
        with subtests.test(topic=topic):
            said = re.fullmatch(
                r".*\. Sent by (?P<sent>.*)\. Received by (?P<received>.*)\.", CHANNELS[topic.name]["description"]
            )
            assert said
            assert ("programs of yours" in said["sent"]) == topic.purpose.startswith("input")
            assert ("programs of yours" in said["received"]) == topic.purpose.startswith("output")
            optional = "`stream-app worker --audit`" if "looks" in topic.purpose else "`stream-app alerts run`"
            assert (optional if topic.is_optional else "`stream-app worker`") in said["sent"] + said["received"]


def test_every_reference_leads_somewhere(subtests: pytest.Subtests) -> None:
    for reference in sorted({*references(DOCUMENT)}):
        with subtests.test(reference=reference):
            assert REGISTRY.resolver(FILE_NAME).lookup(reference).contents


@pytest.mark.parametrize("topic", topic_schemas(), ids=lambda topic: topic.topic)
def test_every_schema_is_the_payload_of_a_message_of_its_topic(topic: TopicSchema) -> None:
    payloads = [message["payload"] for message in CHANNELS[topic.topic]["messages"].values()]
    assert {"$ref": topic.file_name} in payloads


def test_an_example_is_what_its_message_says_and_no_other_of_its_topic(subtests: pytest.Subtests) -> None:
    for name, example in EXAMPLES:
        with subtests.test(name=name, example=example):
            assert refusals(MESSAGES[name], example) == []
            topic, _, _ = name.partition(": ")
            others = [other for other in MESSAGES if other.startswith(f"{topic}: ") and other != name]
            assert all(refusals(MESSAGES[other], example) for other in others)


def test_every_message_of_a_public_topic_has_an_example() -> None:
    public = {topic.name for topic in TOPICS if not topic.purpose.startswith(("internal", "state"))}
    without = [name for name, message in MESSAGES.items() if "examples" not in message]
    assert not [name for name in without if name.partition(":")[0] in public]


def test_the_keys_in_the_document_are_those_that_the_tracker_writes() -> None:
    (example,) = MESSAGES["influence.standings: standing"]["examples"]
    for message in ("standing", "noStanding"):
        key = standing_key(msgspec.convert(example["payload"], Flag)).decode()
        assert key_of("influence.standings", message)["examples"] == [key]
    (example,) = MESSAGES["influence.cuts: cut"]["examples"]
    for message in ("cut", "noCut"):
        key = cut_key(msgspec.convert(example["payload"], Cut)).decode()
        assert key_of("influence.cuts", message)["examples"] == [key]


def test_the_document_and_the_readme_beside_it_have_the_same_headers() -> None:
    documented = set(re.findall(r"`(__streams\.errors\.[a-z.]+)`", (FOLDER / "README.md").read_text()))
    headers = {header for message in MESSAGES.values() for header in message.get("headers", {}).get("properties", {})}
    assert headers == documented


@pytest.mark.parametrize("topic", topic_schemas(), ids=lambda topic: topic.topic)
def test_a_schema_means_the_same_to_readers_who_know_only_draft_07(topic: TopicSchema) -> None:
    """AsyncAPI takes a payload for a superset of it."""
    schema = schema_of(topic)
    earlier = {name: part for name, part in schema.items() if name != "$schema"}
    for path in (FOLDER / "samples").glob(f"{topic.sample_name}.*.jsonl"):
        for sample in map(json.loads, path.read_text().splitlines()):
            event = sample.get("event", sample)
            assert Draft7Validator(earlier).is_valid(event) == Draft202012Validator(schema).is_valid(event)
