"""The HTTP server of the process that delivers: metrics, liveness and readiness on one port."""

import errno
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_TIMEOUT_S = 5.0
_TEXT = "text/plain; charset=utf-8"


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
    ) -> None:
        """Raises AddressTakenError."""
        probes = {"/livez": is_live, "/readyz": is_ready}

        class _ProbeHandler(BaseHTTPRequestHandler):
            """One request."""

            timeout = _TIMEOUT_S

            def do_GET(self) -> None:
                """Answer the request."""
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
                elif (probe := probes.get(path)) is not None:
                    is_ok = probe()
                    self._answer(200 if is_ok else 503, _TEXT, b"yes\n" if is_ok else b"no\n")
                else:
                    self._answer(404, _TEXT, b"/metrics, /livez, /readyz\n")

            def log_message(self, *_: object) -> None:
                """Do not log requests."""

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        try:
            self._server = _ProbeHttpServer((host, port), _ProbeHandler)
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

    def handle_error(self, *_: object) -> None:
        """Do not log clients that disconnect."""


def _advice(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: set STREAM_APP_ALERTS_HTTP_PORT to a free port, or to 0 for any"
    return (
        f"cannot listen on {host}:{port} ({error.strerror}): check STREAM_APP_ALERTS_HTTP_HOST and "
        "STREAM_APP_ALERTS_HTTP_PORT"
    )
