"""The embedded servers with a handle: to freeze them, to end them, and to start them again on the same port."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stream_app.demo.embedded import kafka, redis
from stream_app.demo.embedded.process import free_port, spawn
from tests.waiting import eventually

_START_S = 20.0


class Server:
    """One server process; what it holds in memory is gone when it ends."""

    def __init__(self, command: Callable[[int], list[str]], answers: Callable[[int], bool], folder: Path) -> None:
        self.port = free_port()
        self._command = command(self.port)
        self._answers = answers
        self._log = folder.joinpath(f"server-{self.port}.log").open("ab")
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = spawn(self._command, self._log)
        is_there = eventually(lambda: self._process.poll() is not None or self._answers(self.port), _START_S)
        assert self._process.poll() is None, f"{self._command[0]} ended with {self._process.returncode}"
        assert is_there, f"{self._command[0]} does not answer"

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
    with closing(Server(kafka.command(), kafka.answers, folder)) as server:
        yield server


@contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    """A Valkey of its own."""
    with closing(Server(redis.command(), redis.answers, folder)) as server:
        yield server
