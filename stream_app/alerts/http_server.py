"""The HTTP server of the process that delivers: metrics, liveness and readiness on one port.

Each connection has one request and a few seconds for it. Where there are too many, the oldest makes room for the next:
probes are answered however many others connect.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from stream_app.settings.hosts import host_port, is_local_name, is_loopback

MOST_CONNECTIONS = 32
TIMEOUT_S = 5.0
"""For a whole request, however slowly its bytes come, and its answer."""
_NO_FILES_PAUSE_S = 0.2
_TEXT = "text/plain; charset=utf-8"
_BY_ADDRESS = b"metrics are asked for by address, or by a name without a dot or as in STREAM_APP_ALERTS_HTTP_HOST\n"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class AddressTakenError(OSError):
    """The server cannot listen on its address; the message names the setting to change."""


class ProbeServer:
    """Answers each request in a thread."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        is_live: Callable[[], bool],
        is_ready: Callable[[], bool],
        bound_hit: Callable[[str], None],
    ) -> None:
        """`bound_hit` takes the name of a bound each time that it ends something. Raises AddressTakenError."""
        probes, answers_to = {"/livez": is_live, "/readyz": is_ready}, partial(_answers_to, own=host.lower())

        class _ProbeHandler(BaseHTTPRequestHandler):
            """One request."""

            timeout = TIMEOUT_S
            error_message_format = "%(code)d\n"
            error_content_type = _TEXT

            def do_GET(self) -> None:
                """Answer the request."""
                path = self.path.partition("?")[0]
                if path == "/metrics" and not answers_to(_host_in(self.headers.get("Host", ""))):
                    self._answer(403, _TEXT, _BY_ADDRESS)
                elif path == "/metrics":
                    self._answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
                elif (probe := probes.get(path)) is not None:
                    is_ok = probe()
                    self._answer(200 if is_ok else 503, _TEXT, b"yes\n" if is_ok else b"no\n")
                else:
                    self._answer(404, _TEXT, b"/metrics, /livez, /readyz\n")

            def log_message(self, *_: object) -> None:
                """Do not log requests."""

            def send_response(self, code: int, message: str | None = None) -> None:
                """Begin an answer, without the versions of what answers."""
                self.send_response_only(code, message)
                for name, value in _HEADERS.items():
                    self.send_header(name, value)

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        try:
            self._server = _ProbeHttpServer((host, port), _ProbeHandler, bound_hit)
        except OSError as error:
            raise AddressTakenError(error.errno, _advice(host, port, error)) from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


class _ProbeHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], bound_hit: Callable[[str], None]
    ) -> None:
        self._bound_hit = bound_hit
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: dict[socket.socket, float] = {}
        """Since when each connection is there, the oldest first; changed by several threads."""
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Raises OSError, after a pause where the process may open no more files."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._end(self._oldest(MOST_CONNECTIONS // 2), "open_files")
                time.sleep(_NO_FILES_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer it in a thread of its own, in place of the oldest where there are too many."""
        self._end(self._oldest(MOST_CONNECTIONS - 1), "http_connections")
        with self._lock:
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It is over."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Every half second: end what takes too long."""
        late_s = time.monotonic() - TIMEOUT_S
        with self._lock:
            late = [request for request, since_s in self._open.items() if since_s < late_s]
        self._end(late, "http_request_time")

    def handle_error(self, *_: object) -> None:
        """Do not log clients that disconnect."""

    def _oldest(self, most: int) -> list[socket.socket]:
        with self._lock:
            return list(self._open)[: max(len(self._open) - most, 0)]

    def _end(self, requests: list[socket.socket], bound: str) -> None:
        """Have their threads end: what they wait for will not come."""
        for request in requests:
            self._bound_hit(bound)
            with self._lock:
                self._open.pop(request, None)
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has just ended
                continue


def _answers_to(host: str, own: str) -> bool:
    """Whether it may be asked under that name: a page from elsewhere can have one of its own lead here."""
    return is_loopback(host) if is_loopback(own) else host == own or is_local_name(host)


def _host_in(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _advice(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: set STREAM_APP_ALERTS_HTTP_PORT to a free port, or to 0 for any"
    return (
        f"cannot listen on {host_port(host, port)} ({error.strerror}): check STREAM_APP_ALERTS_HTTP_HOST and "
        "STREAM_APP_ALERTS_HTTP_PORT"
    )
