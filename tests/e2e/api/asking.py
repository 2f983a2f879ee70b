"""Asking a worker over HTTP: plain questions, raw requests, and streams of events."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tests.servers.tracker import Tracker, Worker
from tests.waiting import eventually

PREFIX = "/api/v1"
TIMEOUT_S = 20.0
START_S = 30.0


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    id: str
    data: str

    def json(self) -> Any:
        return json.loads(self.data)


def address(worker: Worker) -> str:
    """Where a worker answers, once it does."""
    assert eventually(lambda: worker.has_said("/readyz on http://"), START_S), worker.said()
    found = worker.said_of_itself("/readyz on http://")
    assert found
    return found


def addresses(run: Tracker) -> list[str]:
    """Where the workers answer that have not ended."""
    return [address(worker) for worker in run.workers if worker.process.poll() is None]


def reply(
    where: str, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    """What a request is answered."""
    with closing(http.client.HTTPConnection(where, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def asked(where: str, path: str, **query: Any) -> Any:
    """The answer to a question, which must be one."""
    got = reply(where, url(path, **query))
    assert got.status == 200, got.body
    return got.json()


def present_cut(where: str, **query: Any) -> Any:
    """The cut of a topic; None also where nobody can say it at the moment."""
    got = reply(where, url("/curve", **query))
    assert got.status in {200, 503}, got.body
    return got.json()["cut"] if got.status == 200 else None


def url(path: str, **query: Any) -> str:
    """A path of the API with parameters."""
    return PREFIX + path + (f"?{urlencode(query, doseq=True)}" if query else "")


def of_user(user: str, more: str = "") -> str:
    """The path of a user."""
    return f"/users/{quote(user, safe='')}{more}"


def raw(where: str, request: bytes) -> bytes:
    """What a server answers to bytes that no client would send; it must close the connection."""
    host, _, port = where.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)


class EventStream:
    """Events as they come."""

    def __init__(self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> None:
        self._response = response
        self._connection = connection
        self.events: list[Event] = []

    def next(self) -> Event | None:
        """The next event; None where the stream ends. Raises TimeoutError after TIMEOUT_S without any."""
        fields: dict[str, str] = {}
        while line := self._response.readline():
            text = line.decode().rstrip("\n")
            if not text and fields:
                self.events.append(Event(fields.get("event", "message"), fields.get("id", ""), fields.get("data", "")))
                return self.events[-1]
            name, _, value = text.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        return None

    def until(self, condition: Callable[[list[Event]], bool], within_s: float) -> list[Event]:
        """Read until the condition holds of all events so far."""
        deadline = time.monotonic() + within_s
        while not condition(self.events):
            assert time.monotonic() < deadline, [event.name for event in self.events]
            assert self.next() is not None, "the stream has ended"
        return self.events

    def flags(self, count: int, within_s: float = 20.0) -> list[Event]:
        """The first so many flags."""
        found = self.until(lambda events: sum(event.name == "flag" for event in events) >= count, within_s)
        return [event for event in found if event.name == "flag"]


@contextmanager
def streaming(where: str, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Iterator[EventStream]:
    """An open stream."""
    with closing(http.client.HTTPConnection(where, timeout=TIMEOUT_S)) as connection:
        connection.request("GET", url(path, **query), headers=dict(headers or {}))
        with closing(connection.getresponse()) as response:
            assert response.status == 200, response.read()
            assert response.headers["Content-Type"] == "text/event-stream"
            yield EventStream(response, connection)


def every_page(where: str, path: str, rows: str, limit: int, **query: Any) -> list[Any]:
    """What all pages of a list hold, one after the other."""
    found: list[Any] = []
    offset: int | None = 0
    while offset is not None:
        page = asked(where, path, limit=limit, offset=offset, **query)
        found += page[rows]
        assert page["next"] in {None, offset + limit}
        offset = page["next"]
    assert len(found) == page["total"]
    return found
