"""Check of this machine: versions, C extensions, and the worker's HTTP port."""

import http.client
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version

from stream_app import __version__
from stream_app.engine.faust.contract import missing_extensions
from stream_app.findings import Finding, ok, problem, warning
from stream_app.kafka.clients import COMMAND_TIMEOUT_S
from stream_app.settings import Settings
from stream_app.settings.hosts import host_port

_PACKAGES = ("faust-streaming", "aiokafka", "kafka-python", "redis", "msgspec", "numpy")
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where a worker listens; nothing is bound here


def versions(_settings: Settings) -> Iterator[Finding]:
    """Versions of Python and the libraries; and whether these run compiled."""
    listed = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    yield ok("versions", f"stream-app {__version__}, Python {platform.python_version()} on {sys.platform}; {listed}")
    if slow := missing_extensions():
        advice = "unset NO_CYTHON and AIOKAFKA_NO_EXTENSIONS, or install the wheels: `make clean setup`"
        yield warning("versions", f"{' and '.join(slow)} without its compiled part: slower, the same answers", advice)
    else:
        yield ok("versions", "faust and aiokafka use their compiled parts")


def worker(settings: Settings) -> Iterator[Finding]:
    """Whether a worker answers where the settings say."""
    if not settings.http_port:
        yield ok("HTTP", "STREAM_APP_HTTP_PORT is 0: a worker takes any free port")
        return
    host = _ANYWHERE.get(settings.http_host, settings.http_host)
    where = host_port(host, settings.http_port)
    if not _listens(host, settings.http_port):
        yield ok("HTTP", f"nothing listens at {where}: no worker with these settings on this machine")
        return
    with closing(http.client.HTTPConnection(host, settings.http_port, timeout=COMMAND_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            status, said = answer.status, answer.read(1000).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            advice = "is it a worker? Another program there keeps workers from starting: STREAM_APP_HTTP_PORT"
            yield warning(
                "HTTP", f"{where} does not answer as a worker does: {str(error) or type(error).__name__}", advice
            )
            return
    if status == http.client.OK:
        yield ok("HTTP", f"the worker at {where} is ready")
    elif status == http.client.SERVICE_UNAVAILABLE:
        yield problem(
            "HTTP", f"the worker at {where} is not ready: {said}", "wait until it has recovered; read its log"
        )
    else:
        yield warning("HTTP", f"{where}/readyz answers {status}", "is another program there? STREAM_APP_HTTP_PORT")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), COMMAND_TIMEOUT_S).close()
    except OSError:
        return False
    return True
