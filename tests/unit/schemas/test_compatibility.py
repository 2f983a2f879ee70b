"""Schemas and messages of earlier releases against today's: what changes breaks nobody, as schemas/README.md says.

`tests/golden/RELEASE/schemas` holds the generated files of that release, `samples` its good samples.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from jsonschema import Draft202012Validator

from stream_app.settings import Settings
from tests.tools.schemas import FOLDER, TopicSchema, files, topic_schemas
from tests.tools.schemas.asyncapi import FILE_NAME
from tests.unit.schemas.compatibility import Break, Schema, broken_for_consumers, broken_for_producers
from tests.unit.schemas.document import CHANNELS

GOLDEN = Path(__file__).parents[2] / "golden"
RELEASES = sorted(path.parent for path in GOLDEN.glob("*/schemas"))
TOPICS = topic_schemas()
INPUTS = Settings().source_topics
WIDER_ROLES = {'role: the schema of before refuses ["recruiter"]'}
"""The one list of values that has become longer, in 0.4: schemas/README.md and CHANGELOG.md say what consumers do."""
WHAT_TO_DO = "leave the field as it was and add another, optional one; schemas/README.md says what may change"


class Case(NamedTuple):
    """A topic with a schema, in a release."""

    release: Path
    topic: TopicSchema

    def __str__(self) -> str:
        return f"{self.release.name}-{self.topic.topic}"

    @property
    def today(self) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(files()[self.topic.file_name])
        return schema

    @property
    def before(self) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads((self.release / "schemas" / self.topic.file_name).read_text())
        return schema

    @property
    def samples(self) -> list[bytes]:
        """Good messages of that release."""
        kind = self.topic.sample_name
        written = self.release / f"{kind}.json"
        samples = (self.release / "samples" / f"{kind}.good.jsonl").read_bytes().splitlines()
        return [*samples, *([written.read_bytes()] if written.exists() else [])]


CASES = [
    Case(release, topic)
    for release in RELEASES
    for topic in TOPICS
    if (release / "schemas" / topic.file_name).exists()  # later topics were not there yet
]
OUTPUTS = [case for case in CASES if case.topic.topic not in INPUTS]


CHANNELS_BEFORE = [
    pytest.param(channel, id=f"{release.name}-{channel['address']}")
    for release in RELEASES
    for channel in json.loads((release / "schemas" / FILE_NAME).read_text())["channels"].values()
    if not channel["description"].startswith(("internal", "state"))
]


def breaking(topic: str) -> Callable[[Schema, Schema], list[Break]]:
    """What finds the changes that break somebody: producers write the inputs, consumers read the outputs."""
    return broken_for_producers if topic in INPUTS else broken_for_consumers


def key(message: dict[str, Any]) -> Schema:
    schema: Schema = message["bindings"]["kafka"]["key"]
    return schema


def headers(message: dict[str, Any]) -> Schema:
    schema: Schema = message.get("headers", {"type": "object"})
    return schema


def policy(channel: dict[str, Any]) -> object:
    return channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]


def refusals(schema: dict[str, Any], messages: list[bytes]) -> list[str]:
    validator = Draft202012Validator(schema)
    return [
        f"{error.json_path}: {error.message}"
        for message in messages
        for error in validator.iter_errors(json.loads(message))
    ]


def good_samples(topic: TopicSchema) -> list[bytes]:
    return (FOLDER / "samples" / f"{topic.sample_name}.good.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_every_topic_that_had_a_schema_has_one(release: Path) -> None:
    had = {path.name for path in (release / "schemas").glob("*.schema.json")}
    assert had <= {topic.file_name for topic in TOPICS}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_schema_changes_in_a_way_that_breaks_producers_or_consumers(case: Case) -> None:
    found = {str(what) for what in breaking(case.topic.topic)(case.before, case.today)}
    assert found <= WIDER_ROLES, WHAT_TO_DO


@pytest.mark.parametrize("case", CASES, ids=str)
def test_messages_of_before_pass_the_schema_and_the_decoder_of_today(case: Case) -> None:
    assert case.samples
    assert refusals(case.today, case.samples) == []
    for message in case.samples:
        msgspec.json.decode(message, type=case.topic.kind)


@pytest.mark.parametrize("case", OUTPUTS, ids=str)
def test_messages_of_today_pass_the_schema_of_the_release_before(case: Case) -> None:
    assert refusals(case.before, good_samples(case.topic)) == []
    written = [path.read_bytes() for path in GOLDEN.glob(f"*/{case.topic.sample_name}.json")]
    assert refusals(case.before, written) == []


@pytest.mark.parametrize("before", CHANNELS_BEFORE)
def test_a_public_topic_keeps_its_name_and_its_kinds_of_records(before: dict[str, Any]) -> None:
    today = CHANNELS[before["address"]]
    assert policy(today) == policy(before)
    assert today["messages"].keys() == before["messages"].keys(), "consumers know no other kinds of records"
    payloads = {name: message["payload"].get("$ref") for name, message in before["messages"].items()}
    assert {name: message["payload"].get("$ref") for name, message in today["messages"].items()} == payloads


@pytest.mark.parametrize("before", CHANNELS_BEFORE)
def test_no_key_or_header_changes_in_a_way_that_breaks_producers_or_consumers(before: dict[str, Any]) -> None:
    broken = breaking(before["address"])
    for name, message in CHANNELS[before["address"]]["messages"].items():
        for part in (key, headers):
            found = [str(what) for what in broken(part(before["messages"][name]), part(message))]
            assert not found, f"{part.__name__} of {name}: {WHAT_TO_DO}"
