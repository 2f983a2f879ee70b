"""A Redis as in production: TLS, and users with minimal permissions. The embedded Valkey has no TLS."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_app.demo.embedded.process import LOCALHOST, local_server
from tests.servers.certificates import Authority, Certificate

_PACKAGE = "needs system package: redis-server (the embedded Valkey knows no TLS)"


@contextmanager
def redis_with_tls(
    server: Certificate, authority: Authority, users: dict[str, str], folder: Path, *, ask_clients: bool = False
) -> Iterator[str]:
    """Yields host:port; `users`: their rules, as ACL SETUSER takes them. Skips where no Redis is installed."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary is None:
        pytest.skip(_PACKAGE)
    acls = folder / "users.acl"
    acls.write_text("".join(f"user {name} {rules}\n" for name, rules in {"default": "off", **users}.items()))

    def command(port: int) -> list[str]:
        return [
            *(binary, "--port", "0", "--bind", LOCALHOST, "--tls-port", str(port), "--dir", tempfile.gettempdir()),
            *("--tls-cert-file", str(server.cert), "--tls-key-file", str(server.key)),
            *("--tls-ca-cert-file", str(authority.cert), "--tls-auth-clients", "yes" if ask_clients else "no"),
            *("--aclfile", str(acls), "--save", "", "--appendonly", "no"),
        ]

    with local_server("Redis with TLS", command, _listens, log_file=folder / "redis.log") as port:
        yield f"{LOCALHOST}:{port}"


def _listens(port: int) -> bool:
    socket.create_connection((LOCALHOST, port), timeout=1.0).close()
    return True
