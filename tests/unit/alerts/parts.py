"""What the tests of alerts share: flags, HTTP receivers that are real servers, and instances of the process."""

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from standardwebhooks import Webhook

from stream_app.alerts.config import AlertsFile, parse
from stream_app.core.messages import Flag, FlagType, Reason, Role, Undelivered
from stream_app.demo.embedded.process import LOCALHOST, spawn
from stream_app.kafka.topics import create
from stream_app.settings import Settings, load
from tests.servers.certificates import Certificate
from tests.servers.tracker import variables
from tests.waiting import eventually

SECRET = "whsec_cGxhbnRlZC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE="
SOON_S = 30.0
STOP_S = 10.0
DAY_MS = 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_flag(flag_id: str, **given: Any) -> Flag:
    """A flag raised just now, about a user of its own."""
    at_ms = given.get("detected_at", now_ms())
    values: dict[str, Any] = {
        "type": FlagType.EMERGING,
        "role": Role.CONNECTOR,
        "topic": "phone",
        "population": "all",
        "user_id": f"user-of-{flag_id}",
        "value": 3470,
        "threshold": 10_656,
        "share": 0.0009,
        "rank": 131,
        "short_rate": 1310.0,
        "long_rate": 23.0,
        "rate_error": 212.4,
        "z": 4.6,
        "events": 38.2,
        "eta_s": 7440.0,
        "reason": Reason.ACCELERATING if given.get("type", FlagType.EMERGING) is FlagType.EMERGING else None,
        "rule": 3,
        "window_start": at_ms - DAY_MS,
        "window_end": at_ms,
        "event_time": at_ms,
        "detected_at": at_ms,
        "settings_version": "0123456789ab",
    }
    return Flag(flag_id=flag_id, **{**values, **given})


@dataclass
class Hook:
    """A receiver of webhooks that verifies signatures."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What to answer next; 204 after these."""
    always: int = 204
    delay_s: float = 0.0
    is_signed: bool = True
    response: str = ""
    """The body of its responses."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the last request."""
    got: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that were accepted, each with its id."""
    asked: int = 0
    forged: int = 0

    @property
    def ids(self) -> list[str]:
        return [body["id"] for body in self.got]

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.port}/hook"

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        self.asked += 1
        self.headers = headers
        time.sleep(self.delay_s)
        try:
            if self.is_signed:
                Webhook(SECRET).verify(body, dict(headers))
        except Exception:
            self.forged += 1
            raise
        status, more = self.answers.pop(0) if self.answers else (self.always, {})
        if status < 300:
            self.got.append({**json.loads(body), "id": headers.get("webhook-id", "")})
        return status, more


@contextmanager
def a_hook(certificate: Certificate | None = None) -> Iterator[Hook]:
    """A receiver for the length of the block; with a certificate it serves HTTPS."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, more = hook.take({name.lower(): value for name, value in self.headers.items()}, body)
            with suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(hook.response)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(hook.response.encode())

        def log_message(self, *_: object) -> None:
            """Do not log requests."""

    with closing(_Server((LOCALHOST, 0), Handler)) as server:
        hook.port = server.server_address[1]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def close(self) -> None:
        self.server_close()


class AlertInstances:
    """A tracker's topics, and instances of the process that deliver its flags; they always end."""

    def __init__(self, brokers: str, name: str, folder: Path, file: Mapping[str, Any], **given: str) -> None:
        path = folder / "alerts.yaml"
        path.write_text(json.dumps(file))  # which is YAML, too
        own = {"partitions": "2", "alerts_file": str(path), "alerts_http_port": "0", **given}
        self.environment = variables(brokers, name, **own)
        self.settings: Settings = load(self.environment)
        self.instances: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        problems = [found.problem for found in create(self.settings) if found.problem]
        assert not problems

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        """Start an instance; returns its number."""
        number = len(self.instances)
        command = [sys.executable, "-m", "stream_app", "alerts", "run", *arguments]
        with self._log_file(number).open("wb") as log:
            self.instances.append(spawn(command, log, {**self.environment, **(environment or {})}))
        return number

    def log(self, number: int) -> str:
        return self._log_file(number).read_text(errors="replace")

    def until_active(self, number: int) -> None:
        assert eventually(lambda: "active: " in self.log(number), SOON_S), self.log(number)

    def until_standing_by(self, number: int) -> None:
        """It has joined, and has not become active."""
        assert eventually(lambda: self._answers(number, "/readyz"), SOON_S), self.log(number)

    def address(self, number: int) -> str:
        return self.log(number).partition("/readyz on http://")[2].split()[0]

    def kill(self, number: int) -> None:
        self.instances[number].kill()
        self.instances[number].wait(STOP_S)

    def end(self, number: int) -> int:
        """SIGTERM; returns the exit status."""
        self.instances[number].terminate()
        return self.instances[number].wait(STOP_S)

    def raise_flags(self, *flags: Flag) -> None:
        """Append flags, as workers do."""
        with closing(KafkaProducer(bootstrap_servers=self.settings.brokers)) as producer:
            for number, flag in enumerate(flags):
                key, value = flag.user_id.encode(), msgspec.json.encode(flag)
                producer.send(self.settings.flags_topic, key=key, value=value, partition=number % 2).get(SOON_S)

    def records(self, topic: str) -> list[Any]:
        """All that a topic of one partition holds."""
        place = TopicPartition(topic, 0)
        with closing(KafkaConsumer(bootstrap_servers=self.settings.brokers, auto_offset_reset="earliest")) as consumer:
            consumer.assign([place])
            consumer.seek_to_beginning(place)
            found: list[Any] = []
            while batch := consumer.poll(timeout_ms=1000).get(place, []):
                found += batch
            return found

    def undelivered(self) -> list[Undelivered]:
        return [
            msgspec.json.decode(record.value, type=Undelivered)
            for record in self.records(self.settings.undelivered_topic)
        ]

    def close(self) -> None:
        for process in self.instances:
            process.kill()
            process.wait(STOP_S)

    def _log_file(self, number: int) -> Path:
        return self._folder / f"alerts-{number}.log"

    def metrics(self, number: int) -> str:
        with urlopen(f"http://{self.address(number)}/metrics", timeout=5) as response:
            return str(response.read().decode())

    def _answers(self, number: int, path: str) -> bool:
        try:
            with urlopen(f"http://{self.address(number)}{path}", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, IndexError):
            return False


def without_package(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As if the package of that module was not installed."""
    monkeypatch.setattr("stream_app.extras.find_spec", lambda name: None if name == module else find_spec(name))


def parsed_file(file: Mapping[str, Any]) -> AlertsFile:
    """The alerts file with this content."""
    return parse(json.dumps(file).encode(), "alerts.yaml")


def to_hook(hook: Hook, **given: Any) -> dict[str, Any]:
    """A file with one rule that sends everything to a hook at once."""
    sink = {"kind": "webhook", "url": hook.url, "secret": SECRET, "private": True}
    rule = {"name": "all", "sinks": ["hook"], "types": [kind.value for kind in FlagType], "per_hour": 1000}
    return {"sinks": {"hook": sink}, "rules": [{**rule, **given}]}
