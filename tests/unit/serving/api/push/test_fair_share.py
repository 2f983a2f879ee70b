"""Live streams on a real socket: however many one address opens, the pages of others open too."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from unittest.mock import Mock

import msgspec
from prometheus_client import CollectorRegistry

from stream_app.core.messages import ROLES
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push.page_updates import MOST_SELECTIONS, MOST_UNKNOWN, PageUpdates
from stream_app.serving.api.push.sse import EventStreams
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.http.auth import COOKIE, Access
from stream_app.serving.http.connections import ConnectionBounds
from stream_app.serving.http.server import HttpServer
from stream_app.serving.http.sessions import Sessions
from stream_app.settings import Settings
from tests.unit.serving.api.flags.flags_topic import nobody
from tests.unit.serving.http.served import GUARDED, TOKEN, close, status

QUARTER, TENTH = MOST_SELECTIONS // 4, MOST_SELECTIONS // 10
OPEN = ConnectionBounds(10_000, 10_000)


class Browser(NamedTuple):
    """Somebody who has signed in, at an address."""

    address: str
    cookie: str


class Tracker(NamedTuple):
    """What is served, and the streams that are open."""

    port: int
    access: Access
    open: list[asyncio.StreamWriter]

    def signed_in(self, address: str) -> Browser:
        return Browser(address, f"Cookie: {COOKIE}={Sessions(TOKEN).open()}")

    async def look(self, browser: Browser, topic: str = "*", role: str = "connector") -> int:
        """The status of a live stream; it stays open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(browser.address, 0))
        self.open.append(writer)
        path = f"/api/v1/live?topic={topic}&role={role}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{browser.cookie}\r\n\r\n".encode())
        return status(await reader.readuntil(b"\r\n\r\n"))


@asynccontextmanager
async def serving(settings: Settings = GUARDED) -> AsyncIterator[Tracker]:
    """Streams of topics that exist if they begin with t."""
    log, access = FlagLog(nobody), Access(settings)
    updates = PageUpdates(Mock(scopes=Mock(exists=lambda asked: asked.topic[0] == "t")), log, TimeBudget(), lambda: 0)
    server = HttpServer(CollectorRegistry(), Mock(), access, OPEN)
    server.add(EventStreams(log, updates, access, settings).add_routes)
    tracker = Tracker(await server.start("127.0.0.1", 0), access, [])
    try:
        yield tracker
    finally:
        for writer in tracker.open:
            await close(writer)
        await server.stop()


async def looked_at(tracker: Tracker, topics: Sequence[str]) -> list[int]:
    """The answers to one address that looks at many topics, in another session for every five."""
    answers = []
    for number, topic in enumerate(topics):
        if not number % 5:
            browser = tracker.signed_in("127.0.0.1")
        answers.append(await tracker.look(browser, topic))
    return answers


async def test_an_address_takes_a_quarter_whatever_number_of_sessions_it_opens() -> None:
    async with serving() as tracker:
        taken = await looked_at(tracker, [f"t{number}" for number in range(MOST_SELECTIONS)])
        browser = tracker.signed_in("127.0.0.1")
        assert taken == [200] * QUARTER + [429] * (MOST_SELECTIONS - QUARTER)
        assert await tracker.look(browser) == 200, "the page begins with no topic"
        assert await tracker.look(browser, "t0") == 200, "it looks at that already"
        other = tracker.signed_in("127.0.0.2")
        assert [await tracker.look(other, topic) for topic in ("*", "tea")] == [200, 200]


async def test_a_session_leaves_room_for_others_at_its_address() -> None:
    async with serving() as tracker:
        one, other = tracker.signed_in("127.0.0.1"), tracker.signed_in("127.0.0.1")
        assert [await tracker.look(one, f"t{number}") for number in range(TENTH + 1)] == [200] * TENTH + [429]
        assert await tracker.look(other, "tea") == 200
        for number in range(TENTH):  # somebody who clicks through many topics
            await close(tracker.open.pop(0))
            await asyncio.sleep(0.01)
            assert await tracker.look(one, f"t-more{number}") == 200


async def test_the_page_without_a_topic_has_a_place_when_all_are_taken() -> None:
    async with serving() as tracker:
        for number in range(MOST_SELECTIONS):
            if not number % TENTH:
                browser = tracker.signed_in(f"127.0.0.{2 + number // 20}")
            assert await tracker.look(browser, f"t{number}") == 200
        late = tracker.signed_in("127.0.0.1")
        assert await tracker.look(late, "tea") == 503
        assert [await tracker.look(late, role=role) for role in ROLES] == [200] * len(ROLES)


async def test_invented_topics_of_one_address_leave_room_for_those_of_others() -> None:
    async with serving() as tracker:
        taken = await looked_at(tracker, [f"invented{number}" for number in range(MOST_UNKNOWN)])
        assert taken.count(404) == MOST_UNKNOWN - MOST_UNKNOWN // 4
        assert await tracker.look(tracker.signed_in("127.0.0.2"), "new") == 200


async def test_behind_a_proxy_an_address_may_take_all() -> None:
    behind = msgspec.structs.replace(GUARDED, http_max_connections_per_address=GUARDED.http_max_connections)
    async with serving(behind) as tracker:
        for number in range(MOST_SELECTIONS):
            if not number % TENTH:
                browser = tracker.signed_in("127.0.0.1")
            assert await tracker.look(browser, f"t{number}") == 200
