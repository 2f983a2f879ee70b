"""The audit of looks: a record before each answer that names people, and no answer without it."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import msgspec
import pytest
from aiohttp import web
from aiokafka.errors import KafkaTimeoutError

from stream_app.core.messages import Look
from stream_app.core.privacy.looks import persons_of
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.look_log import LookLog
from stream_app.serving.api.push.watcher import Watcher
from stream_app.serving.api.responses import Flags
from stream_app.serving.api.routes import ROUTES, _handler
from stream_app.serving.api.unanswered import UnknownUserError
from stream_app.serving.api.users.why_response import Contribution, Evidence
from stream_app.serving.api.views import View
from stream_app.serving.http.auth import CALLER
from stream_app.serving.http.problems import RefusedError
from stream_app.serving.http.tokens import EVERYTHING, Caller
from stream_app.settings import Settings
from stream_app.settings.secret import Secret
from tests.board_samples import a_flag

KEY = "a secret of sixteen or more"


class Producer:
    """Kafka, which takes records or not."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.looks: list[Look] = []
        self.steps: list[str] = []
        self.start, self.stop = AsyncMock(), AsyncMock()

    async def send_and_wait(self, topic: str, key: bytes, value: bytes) -> None:
        assert topic == "influence.audit"
        if not self.takes:
            raise KafkaTimeoutError
        self.looks.append(msgspec.json.decode(value, type=Look))
        assert key == self.looks[-1].caller.encode()
        self.steps.append("look")


def request(path: str = "/api/v1/flags", **headers: str) -> Any:
    """A request of ann that was let in."""
    asked = MagicMock(spec=web.Request)
    asked.query, asked.path, asked.headers = {}, path, headers
    asked.match_info.route.resource.canonical = path
    asked.match_info.get = lambda _name, default: default
    asked.__getitem__ = lambda _self, key: {CALLER: Caller("ann", EVERYTHING)}[key]
    return asked


async def answered(log: LookLog) -> web.Response:
    """The answer of the route of flags, with one flag about bob."""
    (route,) = (route for route in ROUTES if route.path == "/flags")
    answers = Mock(
        flags=lambda _asked: Flags(flags=[a_flag("bob")], position="0", since=None), disclosed=lambda one: one
    )
    return await _handler(route, answers, log)(request())


async def test_a_look_is_on_kafka_before_the_answer_is_given() -> None:
    kafka = Producer()
    response = await answered(LookLog(Settings(audit=True), lambda _settings: kafka))
    assert response.status == 200
    (look,) = kafka.looks
    assert (look.caller, look.route, look.persons, look.reason) == ("ann", "/api/v1/flags", ["bob"], "")


async def test_to_ask_for_somebody_who_is_not_shown_is_a_look_too() -> None:
    kafka = Producer()
    (route,) = (route for route in ROUTES if route.path == "/users/{user_id}")
    asked = request("/api/v1/users/{user_id}")
    asked.match_info.get = lambda _name, _default: "carl"
    answers = Mock(user=AsyncMock(side_effect=UnknownUserError("nobody")))
    response = await _handler(route, answers, LookLog(Settings(audit=True), lambda _settings: kafka))(asked)
    assert (response.status, [look.persons for look in kafka.looks]) == (404, [["carl"]])


async def test_a_look_that_cannot_be_audited_is_refused() -> None:
    for kafka in (Producer(takes=False), Producer()):
        kafka.start.side_effect = OSError if kafka.takes else None
        with pytest.raises(RefusedError) as caught:
            await answered(LookLog(Settings(audit=True), lambda _settings, kafka=kafka: kafka))  # type: ignore[misc]
        assert caught.value.status == 503


async def test_without_the_setting_nothing_is_written_and_kafka_is_not_asked() -> None:
    new_producer = Mock()
    assert (await answered(LookLog(Settings(), new_producer))).status == 200
    new_producer.assert_not_called()


async def test_with_a_person_key_the_record_has_keyed_hashes_and_the_reason() -> None:
    kafka = Producer()
    log = LookLog(Settings(audit=True, person_key=Secret(KEY)), lambda _settings: kafka)
    await log.record(request(**{"X-Stream-App-Reason": "case 17" + "x" * 1000}), ["bob"])
    (look,) = kafka.looks
    assert look.persons == [PersonHashes(KEY).pseudonym("bob")]
    assert look.reason.startswith("case 17")
    assert len(look.reason) <= 201


def test_everybody_in_an_answer_is_found() -> None:
    share = Contribution(ts=1, kind="share", impressions=1, topics=[], post_id="p", author_id="carl", channel=None)
    evidence = Evidence(posts=[], shares=[share, share], found=1, read_records=1, is_complete=True, note="")
    assert persons_of(evidence) == ["carl"]
    assert persons_of(Flags(flags=[a_flag("bob"), a_flag("ann"), a_flag("bob")], position="", since=None)) == [
        "bob",
        "ann",
    ]


async def test_a_page_that_stays_open_names_everybody_once() -> None:
    log = FlagLog(lambda _users: set())
    log.begin({0: 0})
    log.add(0, 0, a_flag("ann", flag_id="f1"), b"{}")
    watcher = Watcher(View(), log.last(10), log.added, is_audited=True)
    part = b'{"influencers": [{"user_id": "bob", "value": 1}, {"user_id": "ann"}], "total": 2}'
    watcher.put({"influencers": part, "curve": b"{}"})
    await asyncio.wait_for(watcher.take(1.0), 2.0)
    assert watcher.take_named() == ["ann", "bob"]
    log.add(0, 1, a_flag("carl", flag_id="f2"), b"{}")
    watcher.put({"emerging": part})
    watcher.put_flags(log.last(10))
    assert watcher.take_named() == ["carl"]
    assert watcher.take_named() == []
