"""The JSON Schemas: up to date with the types, and of one mind with the decoder about good, bad and random events."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream_app.core.events.decode import decode, decode_retractions
from stream_app.core.events.schema import Erase, Event, Post, Retract, Retraction, Share
from stream_app.core.messages import Cut, Flag
from tests.tools.schemas import FOLDER, TIME_PATTERN, TopicSchema, files, schema_of, topic_schemas

MAX_BYTES = 65_536
EVENTS = (Post, Share, Retraction)
TOPICS = topic_schemas()
SCHEMAS = {topic.topic: Draft202012Validator(schema_of(topic)) for topic in TOPICS}


def _samples(topic: TopicSchema, which: str) -> list[bytes]:
    return (FOLDER / "samples" / f"{topic.sample_name}.{which}.jsonl").read_bytes().splitlines()


GOOD = [(topic, line) for topic in TOPICS for line in _samples(topic, "good")]
BAD = [(topic, sample) for topic in TOPICS for sample in map(json.loads, _samples(topic, "bad"))]


def _record(sample: dict[str, Any]) -> bytes | None:
    """The value of the Kafka record that a bad sample describes."""
    if "event" in sample:
        return json.dumps(sample["event"]).encode()
    if "hex" in sample:
        return bytes.fromhex(sample["hex"])
    text: str | None = sample["text"]
    return None if text is None else text.encode()


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _passes_schema(topic: TopicSchema, value: bytes | None) -> bool:
    """What a producer who checks against the schema finds: JSON at all, in UTF-8, and valid."""
    try:
        document = json.loads((value or b"").decode(), parse_constant=_refused)
    except ValueError:
        return False
    return bool(SCHEMAS[topic.topic].is_valid(document))


def _reason(topic: TopicSchema, value: bytes | None) -> str:
    """Why the record cannot be read, empty where it can."""
    if topic.kind in EVENTS:
        rejected = (
            decode_retractions([value], MAX_BYTES).rejected
            if topic.kind is Retraction
            else decode([value], topic.kind, MAX_BYTES).rejected
        )
        return rejected[0].reason if rejected else ""
    try:
        msgspec.json.decode(value or b"", type=topic.kind)
    except msgspec.ValidationError:
        return "invalid"
    return ""


def test_the_schema_files_are_what_the_types_say() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.schema.json")}
    assert written == files(), "run `python -m tests.tools.schemas`"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.topic)
def test_every_schema_is_a_schema_that_names_and_describes_itself(topic: TopicSchema) -> None:
    schema = schema_of(topic)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:stream-app:{topic.topic}"
    assert schema["title"]
    assert schema["description"]


def test_a_good_sample_passes_the_schema_and_the_decoder(subtests: pytest.Subtests) -> None:
    for topic, record in GOOD:
        with subtests.test(topic=topic.topic, record=record):
            assert [error.message for error in SCHEMAS[topic.topic].iter_errors(json.loads(record))] == []
            assert _reason(topic, record) == ""


def test_a_bad_sample_fails_for_the_reason_it_gives(subtests: pytest.Subtests) -> None:
    for topic, sample in BAD:
        with subtests.test(topic=topic.topic, why=sample["why"]):
            record = _record(sample)
            assert _reason(topic, record) == sample["reason"]
            assert _passes_schema(topic, record) == (sample.get("schema") == "passes")


@pytest.mark.parametrize("kind", [Post, Share])
def test_all_good_samples_are_read_in_one_batch(kind: type[Event]) -> None:
    (topic,) = [topic for topic in TOPICS if topic.kind is kind]
    samples = _samples(topic, "good")
    assert len(decode(samples, kind, MAX_BYTES).events) == len(samples)


# Numbers such as 5.0 stay out: JSON Schema takes them for integers, the decoder for floats.
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([-62_135_596_800_001, -62_135_596_800_000, 253_402_300_799_999, 253_402_300_800_000]),
    st.sampled_from([-(10**11) - 1, -(10**11), 10**11, 10**11 + 1]),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer()),
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(["post", "share", "review", "Post", "all", "retract", "erase"]),
    st.sampled_from([100, 101, 200, 201, 256, 257]).map(lambda size: "e" * size),
    st.from_regex(TIME_PATTERN.replace("[12][0-9]|3[01]", "1[0-9]|2[0-8]"), fullmatch=True),
    st.from_regex(r"[0-9]{4}-[01][0-9]-[0-2][0-8][Tt _][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]*)?[Zz+-]?[0-9:]{0,5}"),
).filter(lambda text: not text.endswith("\n"))  # before which `$` matches in Python only
ATOMS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES: st.SearchStrategy[object] = st.one_of(
    ATOMS, st.lists(TEXTS, max_size=3), st.lists(ATOMS, max_size=3), st.just(["t"] * 101), st.just({})
)
FIELDS = sorted({field for kind in (Post, Share, Retract, Erase) for field in kind.__struct_fields__} | {"unknown"})
PLAIN = st.fixed_dictionaries(
    {"event_id": st.just("e"), "ts": st.just(1), "user_id": st.just("u")},
    optional={"kind": st.sampled_from(["retract", "erase"]), "of": st.just("share")},
)
CHANGED = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2)
DOCUMENTS = st.one_of(VALUES, st.builds(lambda plain, changed: plain | changed, PLAIN, CHANGED), CHANGED)


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.kind in EVENTS], ids=lambda topic: topic.topic)
@settings(max_examples=300)
@given(document=DOCUMENTS)
def test_schema_and_decoder_agree_on_any_event(topic: TopicSchema, document: object) -> None:
    record = json.dumps(document, ensure_ascii=False).encode()
    assert _passes_schema(topic, record) == (_reason(topic, record) == "")


@pytest.mark.parametrize("kind", [Cut, Flag])
def test_every_field_of_an_output_message_is_in_its_schema(kind: type[msgspec.Struct]) -> None:
    for topic in TOPICS:
        if topic.kind is kind:
            assert list(schema_of(topic)["properties"]) == list(kind.__struct_fields__)
