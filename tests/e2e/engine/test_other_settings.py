"""Workers with other settings, real and forged: who joins is refused, and nobody who counts is ended by a record."""

import re
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer

from stream_app.core.group.announcement import FORMAT, Announcement, encode, key_of
from stream_app.engine.liveness.exit_codes import Exit
from tests.proof.crew import asked
from tests.servers.tracker import Tracker, Worker, tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(150)

SOON_S = 40.0
OTHER_WINDOW = {"window_s": "12h"}


def is_paused(worker: Worker) -> bool:
    """Whether it says that nobody raises flags."""
    found = re.search(r"^influence_flags_paused (\S+)$", asked(worker, "/metrics")[1], re.MULTILINE)
    return found is not None and float(found[1]) == 1


def counting(run: Tracker, **other: str) -> Worker:
    """A worker that has joined."""
    worker = run.start(**other)
    assert eventually(lambda: worker.has_said("took over"), SOON_S), worker.said()
    return worker


def test_a_worker_that_differs_is_refused_or_silences_the_flags_while_it_is_there(
    embedded_brokers: str, tmp_path: Path
) -> None:
    given = variables(embedded_brokers, "mixed", partitions="2")
    with tracker(given, tmp_path, workers=0) as run:
        first = counting(run)
        refused = run.start(**OTHER_WINDOW)
        assert eventually(lambda: refused.process.poll() is not None, SOON_S), refused.said()
        assert refused.process.returncode == Exit.REFUSED
        for words in ("STREAM_APP_WINDOW_S is 12h here and 24h there", "STREAM_APP_ALLOW_MIXED=true"):
            assert refused.has_said(words), refused.said()
        guest = counting(run, **OTHER_WINDOW, allow_mixed="true")
        assert eventually(lambda: is_paused(first) and is_paused(guest), SOON_S), first.said()
        assert first.has_said("nobody raises flags: worker")
        guest.process.terminate()
        assert eventually(lambda: not is_paused(first), SOON_S), first.said()


def forged(**given: object) -> Announcement:
    """What no worker has said: it was there first, with other settings."""
    said = Announcement(
        format=FORMAT,
        worker="nobody",
        name="nowhere:1",
        release="9.9",
        settings={"window_s": "12h", "share": "0.5"},
        standing="regular",
        joined=0,
        patience_s=900_000.0,
        now_ms=0,
    )
    return msgspec.structs.replace(said, **given)


def test_a_forged_announcement_ends_no_worker_and_blocks_no_newcomer_for_long(
    embedded_brokers: str, tmp_path: Path
) -> None:
    given = variables(embedded_brokers, "forged", partitions="2", session_timeout_s="1500ms")
    with tracker(given, tmp_path, workers=0) as run:
        first = counting(run)
        producer = KafkaProducer(bootstrap_servers=embedded_brokers)
        for said in (forged(), forged(format=FORMAT + 7, worker="of a release to come")):
            producer.send(run.settings.curves_topic, encode(said), key_of(said.worker), partition=0).get(SOON_S)
        producer.close()
        assert eventually(lambda: is_paused(first), SOON_S), first.said()
        newcomer = counting(run)
        assert first.process.poll() is None, first.said()
        assert first.has_said("nobody raises flags: worker nowhere:1")
        assert eventually(lambda: not is_paused(first) and not is_paused(newcomer), SOON_S), newcomer.said()
