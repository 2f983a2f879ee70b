"""Apache Kafka in KRaft mode: its libraries by Maven; clusters of one or several nodes, which tests stop and start."""

import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream_app.demo.embedded.process import LOCALHOST, free_port, spawn
from stream_app.kafka.clients import quiet_kafka
from stream_app.until import until
from tests.fetched import java_libraries

POM = Path(__file__).parent / "kafka" / "pom.xml"
PACKAGES = "default-jre-headless maven"
HEAP = "-Xmx512m"

_FORMAT_S = 60
_START_S = 60.0
_STOP_S = 30.0
_LOG_TAIL = 3000


class ApacheKafkaMissing(RuntimeError):
    """Java or Maven is not installed."""


class ApacheKafkaError(RuntimeError):
    """Kafka does not start; the message holds its last words."""


def libraries() -> Path:
    """The folder of Kafka's libraries, fetched the first time (45 files, 45 MB).

    Raises ApacheKafkaMissing, FetchError.
    """
    if not all(map(shutil.which, ("java", "mvn"))):
        raise ApacheKafkaMissing(f"needs system package: {PACKAGES} (Apache Kafka runs on Java and comes by Maven)")
    return java_libraries("kafka", POM)


class Node:
    """One server, broker and controller in one; it keeps its data while it is down."""

    def __init__(self, number: int, folder: Path) -> None:
        """Node `number` (from 1), whose configuration `folder` holds."""
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._log: IO[bytes] | None = None

    def start(self) -> None:
        """Start it; `Cluster.wait` waits until it serves."""
        self._log = self._folder.joinpath("log.txt").open("ab")
        self.process = spawn(java("kafka.Kafka", self._folder / "server.properties"), self._log)

    def stop(self) -> None:
        """Have it hand over its partitions and end (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL)

    def said(self) -> str:
        """The end of its log."""
        return self._folder.joinpath("log.txt").read_text(errors="replace")[-_LOG_TAIL:]

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self._log is None:
            return
        self.process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_S)
        self.process.kill()
        self.process.wait(_STOP_S)
        self._log.close()
        self.process = None


class Cluster:
    """Nodes that know each other."""

    def __init__(self, nodes: Sequence[Node], inside: Sequence[int], clients: Sequence[int]) -> None:
        """The ports of the nodes: of the listener for each other, without any protection, and of that for clients."""
        self.nodes = nodes
        self._inside = inside
        self.brokers = ",".join(f"{LOCALHOST}:{port}" for port in clients)
        self.administration = ",".join(f"{LOCALHOST}:{port}" for port in inside)
        """Bootstrap addresses that need no credentials, whatever the clients need."""

    def start(self) -> None:
        """Start all nodes that are down, and wait until the cluster serves."""
        for node in self.nodes:
            if node.process is None:
                node.start()
        self.wait()

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """SIGKILL all nodes."""
        for node in self.nodes:
            node.kill()

    def wait(self) -> None:
        """Return when all nodes serve. Raises ApacheKafkaError when one ended or not all do within a minute."""
        deadline_s = time.monotonic() + _START_S
        for node, port in zip(self.nodes, self._inside, strict=True):

            def serves(node: Node = node, port: int = port) -> bool:
                if node.process is None or node.process.poll() is not None:
                    raise ApacheKafkaError(f"node {node.number} ended; its last words:\n{node.said()}")
                return _known_to(port) == len(self.nodes)

            if not until(serves, deadline_s - time.monotonic()):
                raise ApacheKafkaError(f"node {node.number} does not serve; its last words:\n{node.said()}")


def _known_to(port: int) -> int:
    """How many nodes the one that listens there says there are; 0 where none answers."""
    with suppress(OSError):
        socket.create_connection((LOCALHOST, port), timeout=1.0).close()
        with quiet_kafka(), suppress(KafkaError):
            admin = KafkaAdminClient(bootstrap_servers=f"{LOCALHOST}:{port}", bootstrap_timeout_ms=2000)
            with closing(admin):
                return len(admin.describe_cluster()["brokers"])
    return 0


@contextmanager
def apache_kafka(
    folder: Path,
    *,
    nodes: int = 1,
    protocol: str = "PLAINTEXT",
    settings: Mapping[str, str] | None = None,
    scram: Sequence[str] = (),
) -> Iterator[Cluster]:
    """Run a cluster for the length of the block, with its data and logs in `folder`.

    `protocol`: what clients speak (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL); `settings`: further lines of the
    configuration; `scram`: credentials that exist from the beginning, each as kafka-storage takes them.
    Raises ApacheKafkaMissing, ApacheKafkaError.
    """
    libraries()
    ports = [_Ports(free_port(), free_port(), free_port()) for _ in range(nodes)]
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    made = []
    for number in range(1, nodes + 1):
        own = folder / f"node-{number}"
        own.mkdir(parents=True)
        values = {**_configuration(number, own, ports, protocol), **(settings or {})}
        own.joinpath("server.properties").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        _format(own, cluster_id, scram)
        made.append(Node(number, own))
    cluster = Cluster(made, [port.inside for port in ports], [port.clients for port in ports])
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


class _Ports(NamedTuple):
    """Of one node."""

    clients: int
    inside: int
    controller: int


def _configuration(number: int, folder: Path, ports: Sequence[_Ports], protocol: str) -> dict[str, str]:
    copies = str(min(len(ports), 3))
    own = ports[number - 1]
    clients, inside = f"CLIENTS://{LOCALHOST}:{own.clients}", f"INSIDE://{LOCALHOST}:{own.inside}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": ",".join(f"{n}@{LOCALHOST}:{port.controller}" for n, port in enumerate(ports, 1)),
        "listeners": f"{clients},{inside},CONTROLLER://{LOCALHOST}:{own.controller}",
        "advertised.listeners": f"{clients},{inside}",
        "listener.security.protocol.map": f"CLIENTS:{protocol},INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INSIDE",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / "data"),
        "broker.session.timeout.ms": "3000",  # a killed node that comes back waits for so long
        "broker.heartbeat.interval.ms": "500",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "log.retention.ms": "-1",  # records of tests are as old as their event times: no segment may go while one runs
    }


def _format(folder: Path, cluster_id: str, scram: Sequence[str]) -> None:
    command = java(
        "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", folder / "server.properties"
    )
    for credential in scram:
        command += ["--add-scram", credential]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_S, check=False)
    if done.returncode:
        raise ApacheKafkaError(f"the data of a node cannot be prepared:\n{done.stdout}{done.stderr}")


def java(main: str, *arguments: object) -> list[str]:
    """The command that runs a program of Kafka."""
    program = shutil.which("java") or "java"
    options = [HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{libraries()}/*"]
    return [program, *options, main, *map(str, arguments)]
