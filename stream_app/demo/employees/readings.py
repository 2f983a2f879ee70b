"""Everything that can be seen of a tracker: answers of the API, records of its topics, keys of the board."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import product
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import redis
from kafka.errors import KafkaError

from stream_app.core.messages import ROLES, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.runner import DemoError
from stream_app.kafka.clients import KafkaOperationError, new_consumer, quiet_kafka
from stream_app.kafka.topic_scan import partitions_of, read, spans
from stream_app.settings import Settings
from stream_app.settings.hosts import host_port

_API = "/api/v1"
INFLUENCERS = f"{_API}/influencers"
_PATIENCE_S = 20.0
_STREAM_S = 0.5
_AGAIN_S = 1.0
_STREAM_BYTES = 1_000_000
_MOST_ENTRIES = 500
_NOT_FOUND = 404
_BUSY = {429, 503}


class Named(NamedTuple):
    """Somebody who is named in a scope and role."""

    user: str
    scope: ScopeName
    role: Role
    event_time: int | None
    """Of a flag, epoch ms; None: now."""


class Reading(NamedTuple):
    """One thing that was read."""

    where: str
    text: str
    asked: frozenset[str] = frozenset()
    """Names in the question, which the answer may repeat."""
    named: tuple[Named, ...] = ()


class Reach(NamedTuple):
    """What is asked about by name, because no list may have it."""

    scopes: Sequence[ScopeName]
    too_small: Sequence[ScopeName]
    people: Sequence[str]


def read_everything(settings: Settings, reach: Reach) -> Iterator[Reading]:
    """Read it all. Raises DemoError."""
    yield from _answers(_Api(settings), reach)
    try:
        yield from _records(settings)
        yield from _board(settings)
    except (KafkaError, KafkaOperationError, redis.RedisError) as error:
        raise DemoError(f"what was written could not be read, so nothing is judged: {error}") from error


def read_influencers(settings: Settings, scopes: Iterable[ScopeName]) -> Iterator[Reading]:
    """Read who the API names in some scopes. Raises DemoError."""
    api = _Api(settings)
    for scope, role in product(scopes, ROLES):
        query = {"topic": scope.topic, "population": scope.population, "role": role.value}
        where = f"{INFLUENCERS}?{urlencode(query)}"
        text = api.answer(where)
        yield Reading(where, text, named=tuple(named_in(json.loads(text))))


def named_in(said: Any, scope: ScopeName | None = None, role: Role | None = None) -> Iterator[Named]:
    """Everybody in a JSON value who is named where it names topic, population and role, by itself or around them."""
    if isinstance(said, list):
        for one in said:
            yield from named_in(one, scope, role)
    if not isinstance(said, dict):
        return
    if {"topic", "population", "role"} <= said.keys():
        scope, role = ScopeName(said["population"], said["topic"]), Role(said["role"])
    if scope is not None and role is not None and "user_id" in said:
        yield Named(said["user_id"], scope, role, said.get("event_time"))
    for value in said.values():
        yield from named_in(value, scope, role)


class _Api:
    """The first worker, as its clients ask it."""

    def __init__(self, settings: Settings) -> None:
        self._base = f"http://{host_port(settings.http_host, settings.http_port)}"
        self._headers = {"X-Stream-App-Reason": "the demo judges itself"}
        if token := settings.http_token.reveal():
            self._headers["Authorization"] = f"Bearer {token}"

    def answer(self, where: str) -> str:
        """The text of an answer. Raises DemoError where there is none."""
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with self._opened(where, _PATIENCE_S) as answer:
                    return _text(answer.read())
            except HTTPError as error:
                text = _text(error.read())
                if error.code == _NOT_FOUND:
                    return text
                if error.code not in _BUSY or time.monotonic() > until_s:
                    raise DemoError(f"{where} answered {error.code}: {text}") from error
                time.sleep(_AGAIN_S)
            except OSError as error:
                raise DemoError(f"{where} did not answer: {error}") from error

    def streamed(self, where: str) -> str:
        """What a stream of events sends at once. Raises DemoError."""
        found = b""
        until_s = time.monotonic() + _STREAM_S
        try:
            with self._opened(where, _STREAM_S) as answer:
                while len(found) < _STREAM_BYTES and time.monotonic() < until_s and (more := answer.read1(65_536)):
                    found += more
        except TimeoutError:
            pass  # it is quiet
        except OSError as error:
            raise DemoError(f"{where} did not answer: {error}") from error
        return _text(found)

    def _opened(self, where: str, timeout_s: float) -> Any:
        return urlopen(Request(self._base + where, headers=self._headers), timeout=timeout_s)  # noqa: S310 - a worker


def _answers(api: _Api, reach: Reach) -> Iterator[Reading]:
    """Every route that the API itself lists, about every scope and person."""
    for path in ("/", "/metrics"):
        yield Reading(path, api.answer(path))
    document = json.loads(api.answer(f"{_API}/openapi.json"))
    for path, methods in document["paths"].items():
        get = methods["get"]
        kinds = get["responses"]["200"]["content"]
        names = {one["name"] for one in get.get("parameters", ())}
        is_stream = "text/event-stream" in kinds
        about = Reach(reach.too_small[:1], reach.too_small, reach.people) if is_stream else reach
        for query, asked in _questions(path, names, about):
            person = quote(query.pop("user_id", ""), safe="")
            where = f"{path.replace('{user_id}', person)}?{urlencode(query)}"
            if is_stream:
                yield Reading(where, api.streamed(where), asked)
                continue
            text = api.answer(where)
            yield Reading(where, text, asked, tuple(named_in(json.loads(text))))
            if "text/csv" in kinds:
                yield Reading(f"{where} as CSV", api.answer(f"{where}&format=csv"), asked)


def _questions(path: str, names: set[str], reach: Reach) -> Iterator[tuple[dict[str, str], frozenset[str]]]:
    """Each query of a path, with the names in it."""
    person = "user_id" if "{user_id}" in path else "id" if "id" in names else ""
    limit = {"limit": str(_MOST_ENTRIES)} if "limit" in names else {}
    if not person:
        yield dict(limit), frozenset()
    scopes: Sequence[ScopeName | None] = [None] if person else []
    has_scope = {"topic", "population", "role"} <= names
    if has_scope:
        scopes = reach.too_small if person else reach.scopes
    for scope, role, who in product(scopes, ROLES if has_scope else ROLES[:1], reach.people if person else [""]):
        query = dict(limit)
        if scope is not None:
            query |= {"topic": scope.topic, "population": scope.population, "role": role.value}
        if person:
            query[person] = who
        yield query, frozenset({who, *(scope or ())})


def _records(settings: Settings) -> Iterator[Reading]:
    topics = (settings.flags_topic, settings.cuts_topic, settings.standings_topic, settings.audit_topic)
    with quiet_kafka():
        consumer = new_consumer(settings)
    with closing(consumer):
        for record in read(consumer, spans(consumer, partitions_of(consumer, topics))):
            where = f"{record.topic} {record.partition}:{record.offset}"
            key, value = _text(record.key or b""), _text(record.value or b"")
            said = json.loads(value) if value.startswith("{") else {}
            question = (said["population"], said["topic"]) if record.topic == settings.audit_topic else ()
            asked = frozenset(name for name in question if name)
            yield Reading(where, f"{key} {value}", asked, tuple(named_in(said)))


def _board(settings: Settings) -> Iterator[Reading]:
    with closing(redis.Redis.from_url(settings.redis_url.reveal(), decode_responses=True)) as client:
        for key in client.scan_iter(f"{settings.redis_prefix}:*"):
            kind, *rest = str(key).removeprefix(f"{settings.redis_prefix}:").split(":")
            values = _dumped(client, str(key))
            named: list[Named] = []
            if kind == "top":
                named = [Named(user, _scope(rest), Role(rest[0]), None) for user in values]
            elif kind == "user":
                named = [Named(rest[0], _scope(rest[1:]), Role(rest[1]), None)]
            elif kind == "flags":
                named = [one for entry in values.values() for one in named_in(entry)]
            yield Reading(f"board {key}", f"{key} {values}", named=tuple(named))


def _dumped(client: Any, key: str) -> dict[str, Any]:
    kind = client.type(key)
    if kind == "zset":
        return dict(client.zrange(key, 0, -1, withscores=True))
    if kind == "hash":
        return dict(client.hgetall(key))
    if kind == "stream":
        entries = client.xrange(key)
        return {place: fields | {"event_time": int(fields["event_time"])} for place, fields in entries}
    if kind == "set":
        return dict.fromkeys(client.smembers(key), "")
    return {key: client.get(key)}


def _scope(rest: Sequence[str]) -> ScopeName:
    """Of the end of a key: role, population and topic."""
    population, topic = (part.replace("%3A", ":").replace("%25", "%") for part in rest[1:3])
    return ScopeName(population, topic)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
