"""The probes of the process that delivers, on a real socket: however many others connect, they are answered."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from stream_app.alerts import http_server
from stream_app.alerts.http_server import MOST_CONNECTIONS, ProbeServer, _answers_to

LOCALHOST = "127.0.0.1"
Hits = list[str]


@pytest.fixture
def hits() -> Hits:
    return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, hits: Hits) -> Iterator[ProbeServer]:
    monkeypatch.setattr(http_server, "TIMEOUT_S", 1.0)
    registry = CollectorRegistry()
    served = ProbeServer(LOCALHOST, 0, registry, is_live=lambda: True, is_ready=lambda: False, bound_hit=hits.append)
    yield served
    served.close()


def raw(server: ProbeServer, sent: bytes) -> bytes:
    with socket.create_connection((LOCALHOST, server.port), timeout=5) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def get(server: ProbeServer, path: str, host: str = LOCALHOST) -> bytes:
    return raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", b"200"), ("/readyz", b"503"), ("/metrics", b"200"), ("/x", b"404")]
)
def test_every_answer_has_the_headers_and_names_no_version(server: ProbeServer, path: str, status: bytes) -> None:
    answer = get(server, path)
    assert answer.split()[1] == status
    assert b"X-Content-Type-Options: nosniff" in answer
    assert b"Server:" not in answer
    assert b"Python" not in answer


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[", ""])
def test_metrics_are_for_this_machine_where_only_that_is_listened_to(server: ProbeServer, host: str) -> None:
    assert get(server, "/metrics", host).split()[1] == b"403"
    assert get(server, "/livez", host).split()[1] == b"200"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *((name, b"200") for name in ("alerts:6067", "10.1.2.3:6067", "[::1]:6067", "LOCALHOST", socket.gethostname())),
        *((name, b"403") for name in ("evil.example", "127.0.0.1.evil.example:6067", "[", "")),
    ],
)
def test_where_all_addresses_are_listened_to_metrics_are_asked_for_by_one(host: str, status: bytes) -> None:
    served = ProbeServer("0.0.0.0", 0, CollectorRegistry(), is_live=bool, is_ready=bool, bound_hit=lambda _bound: None)  # noqa: S104 - it is what is tested
    try:
        assert get(served, "/metrics", host).split()[1] == status
        assert get(served, "/livez", host).split()[1] == b"503"
    finally:
        served.close()


def test_the_name_that_is_listened_on_is_one_of_its_own() -> None:
    assert _answers_to("alerts.example.org", own="alerts.example.org")
    assert not _answers_to("alerts.example.com", own="alerts.example.org")


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nX: "], ids=["nothing", "half a head"])
def test_half_open_connections_keep_no_probe_out(server: ProbeServer, sent: bytes, hits: Hits) -> None:
    with ExitStack() as stack:
        for _ in range(4 * MOST_CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((LOCALHOST, server.port), timeout=5))
            connection.sendall(sent)
        started = time.monotonic()
        assert get(server, "/livez").split()[1] == b"200"
        assert time.monotonic() - started < 2
        assert len(server._server._open) <= MOST_CONNECTIONS
    assert hits.count("http_connections") >= MOST_CONNECTIONS


def test_a_request_that_comes_byte_by_byte_is_ended(server: ProbeServer, hits: Hits) -> None:
    with socket.create_connection((LOCALHOST, server.port), timeout=5) as connection:
        started = time.monotonic()
        try:
            while time.monotonic() - started < 5:
                connection.sendall(b"G")
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() - started < 4
    assert "http_request_time" in hits


@pytest.mark.parametrize(
    "sent",
    [
        *(b"\r\n\r\n", b"nonsense\r\n\r\n", b"POST /livez HTTP/1.1\r\n\r\n", b"GET /livez HTTP/9.9\r\n\r\n"),
        *(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"),
        *(b"TRACE / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"GET \xff HTTP/1.1\r\nHost: \xff\r\n\r\n"),
    ],
    ids=lambda sent: repr(sent[:30]),
)
def test_what_is_no_request_is_answered_and_harms_nobody(server: ProbeServer, sent: bytes) -> None:
    try:
        answer = raw(server, sent)
    except ConnectionError:
        answer = b""
    assert b"Python" not in answer
    assert get(server, "/livez").split()[1] == b"200"
