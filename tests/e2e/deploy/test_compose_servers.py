"""What compose.yaml starts works together: Apache Kafka and Valkey as configured there, and the image.

Without Docker there are no names for the services, and the ports of this machine may be taken: both are replaced.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_app.demo.embedded import redis
from stream_app.demo.embedded.process import LOCALHOST, free_port, local_server
from tests.e2e.deploy.test_image import START_S, answers, running
from tests.servers.apache import ApacheKafkaMissing, Cluster, Node, java, libraries
from tests.unit.deploy.compose import services, variables_of, writable
from tests.unit.deploy.image import Image
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
"""That of the image, where none is given."""


class Addresses:
    """The addresses of compose.yaml, on this machine."""

    def __init__(self) -> None:
        self.ports = {text: free_port() for text in ("9092", "19092", "9093", "6379")}

    def here(self, text: str) -> str:
        """The same text with addresses of this machine."""
        text = re.sub(r"\b(kafka|valkey|localhost)(?=:\d)", LOCALHOST, text)
        return re.sub(r":(\d+)\b", lambda match: f":{self.ports.get(match[1], match[1])}", text)

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The same environment with addresses of this machine."""
        return {name: self.here(text) for name, text in given.items()}


@contextmanager
def kafka(folder: Path, addresses: Addresses) -> Iterator[None]:
    """Apache Kafka as its image starts it: what it is configured by are its variables."""
    try:
        libraries()
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))
    image, mounted, own = folder / "image", folder / "mounted", folder / "kafka"
    for each in (image, mounted, own):
        each.mkdir()
    for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        image.joinpath(name).touch()
    given = addresses.variables(services()["kafka"]["environment"]) | {"CLUSTER_ID": CLUSTER_ID}
    given["KAFKA_LOG_DIRS"] = str(folder / "data")
    folders = ("--default-configs-dir", image, "--mounted-configs-dir", mounted, "--final-configs-dir", own)
    setup = java("kafka.docker.KafkaDockerWrapper", "setup", *folders)
    done = subprocess.run(setup, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stdout + done.stderr
    ports = addresses.ports
    cluster = Cluster([Node(1, own)], [ports["19092"]], [ports["9092"]])
    try:
        cluster.start()
        yield
    finally:
        cluster.kill()


@contextmanager
def board(folder: Path, addresses: Addresses) -> Iterator[None]:
    """Valkey with the options that compose.yaml gives it."""
    program, *options = services()["valkey"]["command"]
    assert program == "valkey-server"

    def command(port: int) -> list[str]:
        binary = redis.command()(port)[0]
        return [binary, *options, "--port", str(port), "--dir", str(folder)]

    with local_server("Valkey", command, redis.answers) as port:
        addresses.ports["6379"] = port
        yield


def test_the_topics_are_created_and_a_worker_becomes_ready(image: Image, tmp_path: Path) -> None:
    addresses = Addresses()
    with kafka(tmp_path, addresses), board(tmp_path, addresses):
        topics = image.run(
            addresses.variables(variables_of("topics")),
            [*image.entrypoint, *services()["topics"]["command"]],
            writable=writable("topics"),
        )
        assert not topics.returncode, topics.stdout + topics.stderr
        port = free_port()
        given = {**addresses.variables(variables_of("worker-1")), "STREAM_APP_HTTP_PORT": str(port)}
        log_file = tmp_path / "worker.log"
        with running(image, given, log_file) as worker:
            assert eventually(lambda: answers(port, "/readyz"), START_S), log_file.read_text()
            assert eventually(lambda: "Redis is there" in log_file.read_text(), START_S), log_file.read_text()
            assert worker.stop() == 0
