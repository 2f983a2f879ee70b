"""No path to pickle: a record that would execute is a dead letter, and Faust has no codec for it."""

import base64
import json
import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from faust.serializers.codecs import get_codec
from kafka import KafkaProducer

from stream_app.engine.faust.config import configured_app
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.settings import Settings
from tests.servers.tracker import following, tracker, variables


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return open, (str(self._path), "w")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    return tmp_path / "caught"


def test_unpickling_the_trap_creates_a_file(trap: Path) -> None:
    pickle.loads(pickle.dumps(Trap(trap))).close()  # noqa: S301 - it is ours
    assert trap.exists()


def test_the_app_knows_no_codec_that_unpickles() -> None:
    app = configured_app(Settings(), Lease(3.0), WorkerHealth(30.0), dict)
    assert app.conf.key_serializer == app.conf.value_serializer == "raw"
    for name in ("pickle", "pickle_restricted", "pickle_fickling"):
        with pytest.raises(KeyError):
            get_codec(name)
    with pytest.raises((KeyError, TypeError)):
        get_codec("json|pickle")


def test_a_record_that_would_run_is_set_aside(brokers: str, trap: Path, tmp_path: Path) -> None:
    raw = pickle.dumps(Trap(trap))
    forms = [raw, base64.b64encode(raw), json.dumps({"__faust": {"ns": "builtins"}, "codec": "pickle"}).encode()]
    headers = [("codec", b"pickle"), ("content-type", b"application/x-python-pickle"), ("value_serializer", b"pickle")]
    with tracker(variables(brokers, "pickled"), tmp_path, workers=1) as run:
        settings = run.settings
        with closing(KafkaProducer(bootstrap_servers=settings.brokers)) as producer:
            for form in forms:
                for topic in settings.input_topics:
                    producer.send(topic, form, form, headers, partition=0)
                    producer.send(topic, form, b"u", headers, partition=1)
                producer.send(settings.curves_topic, form, form, headers, partition=0)
                producer.send(settings.curves_topic, form, b"curves/0", headers, partition=0)
            producer.flush()
        with following(run, settings.curves_topic, settings.dead_letters_topic) as follower:
            follower.until(
                lambda seen: len(seen.records.get(settings.dead_letters_topic, ())) >= 4 * len(forms),
                "all of them are dead letters",
                40.0,
            )
    assert not trap.exists()
