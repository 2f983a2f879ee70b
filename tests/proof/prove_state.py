"""Foreign state: of another release, another topic, another number of partitions."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from stream_app.core.changelog.columns import FormatError
from stream_app.engine.liveness.exit_codes import Exit
from tests.proof.prove_kills import PATIENCE_S, contents, kill_at_random
from tests.proof.prove_records import corrupt
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import stage
from tests.servers.brokers import EMBEDDED
from tests.servers.tracker import WORKER, Tracker, Worker
from tests.unit.schemas.test_golden import GOLDEN, kinds
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

Change = Callable[[KafkaAdminClient, str], None]
"""Does something to a topic."""


@pytest.mark.promise(15)
def test_records_of_earlier_releases_can_be_read(proof: Proof) -> None:
    """The tests of the golden files are the proof; here they are counted."""
    for kind in kinds():
        kind.read()
        if kind.file.suffix == ".bin":
            with pytest.raises(FormatError, match="version 99"):
                kind.read_unknown()
    proof.figure(golden_files=len(list(GOLDEN.rglob("*.*"))), kinds=len(kinds()))


@pytest.mark.promise(16, what="another number of partitions")
def test_another_number_of_partitions_is_refused(
    kafka: str, brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    def more_partitions(admin: KafkaAdminClient, topic: str) -> None:
        if kafka == EMBEDDED:  # it can only make the topic again
            make_again(admin, topic, 16)
        else:
            admin.create_partitions({topic: 16})

    refused(brokers, tmp_path, scale, proof, more_partitions, "has 16 partitions now and had 8")


@pytest.mark.promise(16, what="a topic deleted and made again")
def test_a_topic_that_was_made_again_is_refused(brokers: str, tmp_path: Path, scale: Scale, proof: Proof) -> None:
    def made_again(admin: KafkaAdminClient, topic: str) -> None:
        make_again(admin, topic, 8)

    refused(brokers, tmp_path, scale, proof, made_again, "was deleted and created again")


def make_again(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    """Delete a topic, and make another of that name."""
    admin.delete_topics([topic])
    assert eventually(lambda: topic not in admin.list_topics(), 30)
    admin.create_topics([NewTopic(topic, partitions, 1)])


def refused(brokers: str, folder: Path, scale: Scale, proof: Proof, change: Change, why: str) -> None:
    """The running worker ends and says why; so does every other one; what was counted stays as it was."""
    given = contents(scale, 0.1)
    with stage(brokers, f"changed{abs(hash(why)) % 1000}", folder, given, workers=1) as on:
        on.feed(len(given.records) / 5)
        on.settle(PATIENCE_S)
        counted = {name: on.seen.total(name) for name in given.results}
        worker = on.crew.members[0]
        admin = KafkaAdminClient(bootstrap_servers=brokers)
        change(admin, on.run.settings.posts_topic)
        admin.close()
        began_s = time.monotonic()
        on.until(lambda: worker.process.poll() is not None, "the worker refuses", 30)
        proof.figure(refused_after_s=time.monotonic() - began_s)
        assert worker.process.poll() == Exit.REFUSED, worker.said()
        on.until(lambda: on.crew.endings[Exit.REFUSED] > 1, "the next worker refuses too", 60)
        for ended in on.run.workers[:2]:
            assert why in ended.said()
            assert "stream-app reset" in ended.said()
        assert {name: on.seen.total(name) for name in given.results} == counted


def without_extensions(run: Tracker) -> Worker:
    """A worker of pure Python."""
    return run.start(("/usr/bin/env", "NO_CYTHON=1", *WORKER))


@pytest.mark.promise(17, what="SIGKILL every 5 s, without C extensions of Faust")
def test_kills_without_extensions(brokers: str, tmp_path: Path, scale: Scale, proof: Proof) -> None:
    kill_at_random(brokers, tmp_path, scale._replace(events=scale.events // 2), proof, without_extensions)


@pytest.mark.promise(17, what="1 % corrupt, without C extensions of Faust")
def test_corrupt_records_without_extensions(brokers: str, tmp_path: Path, scale: Scale, proof: Proof) -> None:
    corrupt(brokers, tmp_path, scale._replace(events=scale.events // 2), proof, without_extensions)
