"""What comes in makes what is written too large: counting goes on, and everything set aside can be found."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_app.core.events.dead_letter import DeadLetter, read
from stream_app.ops.dead_letters.origins import runs_of
from tests.proof.contents import Recipe, made
from tests.proof.hostile_writes import endless, huge, produce, with_long_names
from tests.proof.prove_kills import PATIENCE_S
from tests.proof.report import Proof
from tests.proof.scale import QUICK, Scale
from tests.proof.stage import Stage, stage
from tests.proof.verifier import everything, verdict
from tests.servers.apache import ApacheKafkaMissing, apache_kafka

pytestmark = pytest.mark.timeout(900)

WORKERS = 2
USERS, TOPICS = 8_000, 4_000
MOST_MB = 512
MOST_LETTERS_MB = 60


@pytest.mark.promise(18)
def test_whatever_is_large_is_counted_or_set_aside_where_it_can_be_found(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    large_writes(brokers, tmp_path, scale, proof)


@pytest.mark.promise(18, what="what is written is too large, where brokers take 256 kB")
def test_the_same_where_brokers_take_a_quarter_of_it(tmp_path: Path, scale: Scale, proof: Proof) -> None:
    with small_kafka(tmp_path / "kafka") as brokers:
        large_writes(brokers, tmp_path, scale, proof)


@contextmanager
def small_kafka(folder: Path) -> Iterator[str]:
    """Apache Kafka whose brokers take record batches of 256 kB."""
    folder.mkdir()
    try:
        with apache_kafka(folder, settings={"message.max.bytes": "262144"}) as cluster:
            yield cluster.brokers
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))


def large_writes(brokers: str, folder: Path, scale: Scale, proof: Proof) -> None:
    """Long names, topics of one home, huge records and endless bad ones, while a load is counted."""
    given, long_named = with_long_names(made(Recipe(scale.events // 4, seed=18)), USERS, TOPICS)
    bad = [*huge(), *endless(2 * QUICK.events)]
    given = given._replace(
        records=[*given.records, *long_named, *bad], results={**given.results, "rejected": len(bad)}, rejected=bad
    )
    with stage(brokers, "large", folder, given, workers=WORKERS) as on:
        on.feed(scale.events / 4 / scale.load_s, last=-len(bad) - len(long_named))
        on.until_counting(PATIENCE_S)
        produce(brokers, on.run.settings.input_topics, [*long_named, *bad])
        on.settle(PATIENCE_S)
        found = verdict(on.run.settings, on.seen, given, set_aside=False)
        letters = set_aside(on)
        expected = places_of_bad(on)
        missing = len(expected - places_of(letters))
        letters_mb = letters_bytes(on) / 1e6
        proof.figure(events=len(given.records), lost=found.lost, twice=found.twice, **found.figures)
        proof.figure(set_aside=len(bad), letters=len(letters), letters_mb=letters_mb, large_mb=on.crew.peak_rss_mb)
        assert not found.wrong, "\n".join([*found.wrong, on.state()])
        assert len(expected) == len(bad)
        assert not missing, f"{missing} records that were set aside cannot be found"
        assert places_of(letters) == expected, "letters are about records that were counted"
        assert (on.crew.started, dict(on.crew.endings)) == (WORKERS, {}), on.state()
        assert letters_mb < MOST_LETTERS_MB
        assert on.crew.peak_rss_mb < MOST_MB


def set_aside(on: Stage) -> list[DeadLetter]:
    """Every dead letter."""
    records = on.seen.records.get(on.run.settings.dead_letters_topic, ())
    found = [read(record.key, record.value, record.headers) for record in records]
    return [letter for letter in found if isinstance(letter, DeadLetter)]


def letters_bytes(on: Stage) -> int:
    """Of all dead letters together."""
    records = on.seen.records.get(on.run.settings.dead_letters_topic, ())
    return sum(
        len(record.key or b"") + len(record.value or b"") + sum(len(value) for _, value in record.headers)
        for record in records
    )


def places_of(letters: list[DeadLetter]) -> set[tuple[str, int, int]]:
    """Topic, partition and offset of every record that a letter is about."""
    return {
        (*letter.origin[:2], offset)
        for letter in letters
        for first, last in runs_of(letter)
        for offset in range(first, last + 1)
    }


def places_of_bad(on: Stage) -> set[tuple[str, int, int]]:
    """Where the records are that cannot be counted."""
    values = {record.value for record in on.contents.rejected}
    settings = on.run.settings
    records = (record for topic in settings.input_topics for record in everything(settings, topic))
    return {(record.topic, record.partition, record.offset) for record in records if record.value in values}
