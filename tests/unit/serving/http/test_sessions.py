"""Sessions: a day long, ended by who signs out, at every worker, and for streams that are open too."""

import asyncio

import pytest

from stream_app.core.privacy.ended_sessions import _MOST, KEY, EndedSessions
from stream_app.serving.api.push import sse
from stream_app.serving.http.auth import cookie_path
from stream_app.serving.http.sessions import DAY_S, Sessions
from tests.unit.serving.http.served import LOCALHOST, TOKEN, Served, close, head, serving, status

FORM = "Content-Type: application/x-www-form-urlencoded"
API = "/api/v1/openapi.json"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


async def signed_in(served: Served, form: str = "") -> str:
    answer = await served.get("/api/v1/session", FORM, method="POST", body=f"token={TOKEN}{form}")
    assert status(answer) == 204
    return head(answer)["set-cookie"]


async def test_a_session_ends_when_somebody_signs_out() -> None:
    async with serving() as served:
        cookie = "Cookie: " + (await signed_in(served)).partition(";")[0]
        other = "Cookie: " + (await signed_in(served)).partition(";")[0]
        assert cookie != other
        assert status(await served.get(API, cookie)) == 200
        assert status(await served.get("/api/v1/session", cookie, method="DELETE")) == 204
        assert status(await served.get(API, cookie)) == 401
        assert status(await served.get("/metrics", cookie)) == 401
        assert status(await served.get(API, other)) == 200


def test_a_session_is_over_after_a_day() -> None:
    clock = Clock()
    sessions = Sessions(TOKEN, clock_s=clock)
    cookie = sessions.open()
    clock.now_s += DAY_S - 1
    assert sessions.find(cookie)
    clock.now_s += 2
    assert sessions.find(cookie) is None
    clock.now_s -= 3 * DAY_S
    assert sessions.find(cookie) is None  # one that lasts for longer than a day was never made


@pytest.mark.parametrize("change", [0, 20, 33, 40, 60, -1])
def test_a_changed_cookie_is_none(change: int) -> None:
    sessions = Sessions(TOKEN)
    cookie = sessions.open()
    letters = list(cookie)
    letters[change] = "0" if letters[change] != "0" else "1"
    assert sessions.find(cookie)
    assert sessions.find("".join(letters)) is None
    assert Sessions("another-token-of-16").find(cookie) is None


@pytest.mark.parametrize("cookie", ["", "x", ".", "a.b.c", "\udcff", "0" * 32 + "." + "9" * 15 + "." + "0" * 64])
def test_what_is_no_cookie_is_none(cookie: str) -> None:
    assert Sessions(TOKEN).find(cookie) is None


def test_what_ends_at_one_worker_ends_at_all_and_is_forgotten_when_it_is_over() -> None:
    clock, topic = Clock(), dict[bytes, bytes]()

    def publish(session: str, until_s: int | None) -> None:
        topic[KEY + session.encode()] = b"" if until_s is None else str(until_s).encode()

    first, ended = Sessions(TOKEN, publish=publish, clock_s=clock), EndedSessions()
    second = Sessions(TOKEN, ended, clock_s=clock)
    cookie = first.open()
    session = second.find(cookie)
    assert session
    first.end(session)
    for key, value in topic.items():
        ended.update(key, value)
    assert second.find(cookie) is None
    clock.now_s += 2 * DAY_S
    later = first.find(first.open())
    assert later
    first.end(later)
    assert topic[KEY + session.id.encode()] == b""
    ended.update(KEY + session.id.encode(), b"")
    assert session.id not in ended


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEY, b"1"),
        (KEY + b"x" * 33, b"1"),
        (KEY + b"\xff" * 32, b"1"),
        (KEY + b"0" * 32, b"9" * 5000),
        (KEY + b"0" * 32, b"x"),
    ],
)
def test_what_others_write_there_is_checked(key: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        EndedSessions().update(key, value)


def test_ended_sessions_are_bounded() -> None:
    ended = EndedSessions()
    for number in range(_MOST + 10):
        ended.end(f"{number:032x}", number)
    assert len(ended._until_s) == _MOST
    assert f"{0:032x}" not in ended
    assert f"{_MOST + 9:032x}" in ended


async def test_an_open_stream_ends_with_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_S", 0.1)
    async with serving() as served:
        cookie = "Cookie: " + (await signed_in(served)).partition(";")[0]
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        request = f"GET /api/v1/flags/stream HTTP/1.1\r\nHost: {LOCALHOST}\r\n{cookie}\r\n\r\n"
        writer.write(request.encode())
        await reader.readuntil(b"event: ping")
        assert status(await served.get("/api/v1/session", cookie, method="DELETE")) == 204
        async with asyncio.timeout(3):
            while await reader.read(1000):
                pass
        await close(writer)


@pytest.mark.parametrize(
    ("path", "below"),
    [
        *(
            ("/", "/"),
            ("/tracker/", "/tracker/"),
            ("/a/b-1/", "/a/b-1/"),
            ("", "/"),
            ("tracker", "/"),
            ("/tracker", "/"),
        ),
        *(("//", "/"), ("/x; Domain=evil.example/", "/"), ("/\r\nX: y/", "/"), ("/ü/", "/"), ("/" + "a/" * 50, "/")),
    ],
)
async def test_the_cookie_is_sent_where_the_page_is_served(path: str, below: str) -> None:
    assert cookie_path(path) == below
    async with serving() as served:
        if path.isascii() and path.isprintable():
            set_cookie = await signed_in(served, "&path=" + path.replace(";", "%3B").replace(" ", "+"))
            assert f"Path={below}" in set_cookie.split("; ")
