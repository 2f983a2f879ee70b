"""Brokers that advertise an address which cannot be reached: said at once, with the setting of Kafka that is wrong."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_app.demo.embedded import kafka
from stream_app.kafka.clients import KafkaOperationError, open_consumer
from stream_app.kafka.reachability import AdvertisedListener, UnreachableError, advertised_listeners, require_reachable
from stream_app.kafka.topics import TopicsError, require
from stream_app.settings import Settings
from stream_app.settings.environment import environment_of_child
from tests.servers.embedded import Server
from tests.servers.tracker import variables

NOWHERE = ["tcp://kafka.nowhere.invalid:9092", "tcp://127.0.0.1:9"]


@pytest.fixture(params=NOWHERE)
def astray(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """A broker that sends its clients elsewhere."""

    def command(port: int) -> list[str]:
        return [*kafka.command()(port)[:-1], request.param]

    with closing(Server(command, answers, tmp_path)) as server:
        yield Settings(brokers=f"127.0.0.1:{server.port}")


def answers(port: int) -> bool:
    try:
        return bool(advertised_listeners(Settings(brokers=f"127.0.0.1:{port}")))
    except UnreachableError:
        return False


def test_every_client_names_the_address_and_the_setting_of_kafka(astray: Settings) -> None:
    (listener,) = advertised_listeners(astray)
    assert listener.refusal
    with pytest.raises(UnreachableError, match=r"advertised\.listeners") as failed:
        require_reachable(astray)
    assert listener.address in str(failed.value)
    with pytest.raises((UnreachableError, TopicsError), match=r"advertised\.listeners"):
        require(astray)
    with pytest.raises(KafkaOperationError, match=r"advertised\.listeners"), open_consumer(astray):
        pass


@pytest.mark.parametrize("command", ["worker", "watch", "doctor"])
def test_a_worker_and_commands_say_it_and_end(astray: Settings, command: str) -> None:
    given = environment_of_child(variables(astray.brokers, "astray"))
    found = subprocess.run(
        [sys.executable, "-m", "stream_app", command],
        env=given,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert found.returncode != 0
    assert "advertised.listeners" in found.stdout + found.stderr
    assert "Traceback" not in found.stderr


def test_a_broker_that_can_be_reached_is_no_finding(embedded_brokers: str) -> None:
    assert advertised_listeners(Settings(brokers=embedded_brokers)) == [AdvertisedListener(embedded_brokers, "")]
