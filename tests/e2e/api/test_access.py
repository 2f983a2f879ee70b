"""Access to the API: with a token only requests that carry it; without one only requests from this machine."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import MagicMock, Mock

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from stream_app.serving.api.server import Api
from stream_app.serving.http.auth import Access
from stream_app.serving.http.peer_auth import ANSWER, QUESTION, PeerAuth
from stream_app.serving.http.server import HttpServer
from stream_app.settings import Settings, SettingsError, load
from stream_app.settings.secret import Secret
from tests.e2e.api.asking import Reply, raw, reply, streaming, url
from tests.e2e.api.moving import GIVEN, Moving
from tests.e2e.api.stage import Stage
from tests.servers.tracker import tracker, variables

pytestmark = pytest.mark.timeout(150)

TOKEN = "planted-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OPEN = ("/livez", "/readyz", "/", "/page/nothing")
GUARDED = (
    *("/metrics", "/nothing", "/api/v1/openapi.json", "/api/v1/peers/leaders"),
    *(
        url(path)
        for path in ("/about", "/health", "/topics", "/cuts", "/cuts/history", "/curve", "/funnel", "/influencers")
    ),
    *(url(path) for path in ("/users/u1", "/users/u1/why", "/flags", "/flags/stream", "/live", "/nothing")),
)


@pytest.fixture(scope="module")
def guarded(embedded_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    """Two workers with a token, which log all they can."""
    given = {**GIVEN, "partitions": "2", "http_token": TOKEN, "log_level": "DEBUG"}
    environment = variables(embedded_brokers, "guarded", **given)
    with tracker(environment, tmp_path_factory.mktemp("guarded"), workers=2) as run:
        yield Moving(run)


@pytest.fixture(scope="module")
def where(guarded: Moving) -> str:
    return guarded.addresses[0]


def refused(got: Reply, status: int) -> str:
    """The detail of a refusal."""
    assert got.status == status
    assert got.headers["content-type"] == "application/problem+json"
    return str(got.json()["detail"])


@pytest.mark.parametrize("path", OPEN)
def test_paths_without_personal_data_need_no_token(where: str, path: str) -> None:
    assert reply(where, path).status not in {401, 403}


def test_every_other_path_needs_the_token(where: str, subtests: pytest.Subtests) -> None:
    for path in GUARDED:
        for headers in [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer \xff"},
            {"Authorization": ""},
            {"Cookie": f"stream_app={TOKEN}"},
            {"Cookie": "stream_app="},
            {"Cookie": "stream_app=\xff"},
        ]:
            with subtests.test(path=path, headers=headers):
                got = reply(where, path, headers=headers)
                assert "STREAM_APP_HTTP_TOKEN" in refused(got, 401)
                assert got.headers["www-authenticate"] == "Bearer"
                assert TOKEN.encode() not in got.body


@pytest.mark.parametrize(
    "path", [f"/api/v1/peers/{asked}" for asked in ("funnels", "leaders", "places", "recruits", "scopes")]
)
def test_other_workers_need_a_signature_and_the_token_is_none(where: str, path: str) -> None:
    json = {"Content-Type": "application/json"}
    for headers in (json, {**json, **BEARER}):
        assert "STREAM_APP_PEER_SECRET" in refused(reply(where, path, method="POST", body=b"[]", headers=headers), 401)
    auth = PeerAuth(Settings(http_token=Secret(TOKEN)))
    signed = {**json, **auth.sign(where, path, b"[]")}
    got = reply(where, path, method="POST", body=b"[]", headers=signed)
    assert (got.status, got.body) == (200, b"[]")
    assert auth.is_answer(signed[QUESTION], {ANSWER: got.headers[ANSWER.lower()]}, got.body)
    refused(reply(where, path, method="POST", body=b"[]", headers=signed), 401)
    refused(reply(where, path, method="POST", body=b"{}", headers={**json, **auth.sign(where, path, b"{}")}), 400)


def test_with_the_token_everything_works_and_workers_ask_each_other(guarded: Moving) -> None:
    def ask(where: str, path: str, **query: Any) -> Any:
        got = reply(where, url(path, **query), headers=BEARER)
        assert got.status == 200, got.body
        return got.json()

    assert reply(guarded.addresses[0], "/metrics", headers={"Authorization": f"bearer  {TOKEN}"}).status == 200
    for where in guarded.addresses:
        guarded.until(lambda where=where: ask(where, "/health")["partitions"] == 2, "both partitions")  # type: ignore[misc]
        assert ask(where, "/influencers")["missing_partitions"] == []
        with streaming(where, "/live", BEARER) as stream:
            stream.until(lambda events: any(event.name == "influencers" for event in events), 20)


def test_a_browser_is_let_in_by_a_cookie_that_is_not_the_token(where: str) -> None:
    refused(reply(where, url("/session"), method="POST", headers=FORM, body=b"token=wrong"), 401)
    got = reply(where, url("/session"), method="POST", headers=FORM, body=f"token={TOKEN}".encode())
    assert got.status == 204
    value, *attributes = [part.strip() for part in got.headers["set-cookie"].split(";")]
    assert {one.partition("=")[0]: one.partition("=")[2] for one in attributes} == {
        "HttpOnly": "",
        "Max-Age": "86400",
        "Path": "/",
        "SameSite": "Strict",
    }
    assert TOKEN not in value
    cookie = {"Cookie": f"other=1; {value}"}
    assert reply(where, url("/about"), headers=cookie).status == 200
    with streaming(where, "/flags/stream", cookie):
        pass
    got = reply(where, url("/session"), method="DELETE")
    assert got.status == 204
    assert got.headers["set-cookie"].startswith('stream_app="";')
    assert "Max-Age=0" in got.headers["set-cookie"]


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("HTTPS", True), ("http", False)])
def test_behind_a_proxy_that_speaks_tls_the_cookie_is_sent_over_tls_only(where: str, proto: str, secure: bool) -> None:
    headers = {**FORM, "X-Forwarded-Proto": proto}
    got = reply(where, url("/session"), method="POST", headers=headers, body=f"token={TOKEN}".encode())
    assert ("Secure" in got.headers["set-cookie"]) == secure


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}, b"token=x"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"token=%ff&token=\xff"),
        ({"Content-Type": "multipart/form-data"}, b"token=x"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--y\r\n\r\n"),
        ({"Content-Type": "application/json"}, b'{"token": "x"}'),
        ({"Content-Type": "nonsense"}, b""),
        ({}, b"x" * 2_000_000),
    ],
    ids=str,
)
def test_a_malformed_login_form_is_refused(where: str, headers: dict[str, str], body: bytes) -> None:
    got = reply(where, url("/session"), method="POST", headers=headers, body=body)
    assert got.status in {400, 401, 413}
    assert got.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in got.headers


def test_the_token_is_nowhere_to_be_seen(guarded: Moving) -> None:
    """The last of those with a token: after it was given in every way, right and wrong."""
    for where in guarded.addresses:
        for path in (*GUARDED[:-3], "/metrics", "/livez", "/readyz"):
            if "stream" not in path:
                got = reply(where, path, headers=BEARER)
                assert TOKEN.encode() not in got.body
                assert TOKEN not in str(got.headers)
        raw(where, f"GET /api/v1/about HTTP/9.9\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    for worker in guarded.run.workers:
        assert worker.has_said("DEBUG")
        assert not worker.has_said(TOKEN)
        assert not worker.has_said("could not be answered"), worker.said()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6066", "127.0.0.1.evil.example", "10.0.0.1", "localhost.x"]
)
@pytest.mark.parametrize(
    "path", [url("/about"), url("/influencers"), url("/live"), url("/flags/stream"), url("/nothing")]
)
def test_without_a_token_a_name_from_elsewhere_is_refused(stage: Stage, host: str, path: str) -> None:
    got = reply(stage.addresses[0], path, headers={"Host": host})
    assert "STREAM_APP_HTTP_TOKEN" in refused(got, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "127.1.2.3"])
def test_without_a_token_this_machine_may_ask(stage: Stage, host: str) -> None:
    assert reply(stage.addresses[0], url("/about"), headers={"Host": host}).status == 200


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """A server with these settings, whatever it listens to."""
    access = Access(settings)
    server = HttpServer(CollectorRegistry(), Mock(live=lambda: (True, {})), access)
    server.add(Api(settings, Mock(erasures=MagicMock()), Mock(), Mock(), access).add_routes)
    port = await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "worker-1"])  # noqa: S104 - that is what is refused
async def test_without_a_token_a_worker_on_a_public_address_refuses_every_request(host: str) -> None:
    async with serving(Settings(http_host=host)) as session:
        for path in ("/api/v1/about", "/api/v1/users/x", "/api/v1/live", "/api/v1/openapi.json"):
            async with session.get(path) as response:
                assert response.status == 403
                assert "STREAM_APP_HTTP_TOKEN" in (await response.json(content_type=None))["detail"]
        async with session.get("/livez") as response:
            assert response.status == 200


async def test_an_error_while_answering_is_shown_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    settings = Settings(http_token=Secret(TOKEN))
    async with serving(settings) as session, session.get("/api/v1/topics", headers=BEARER) as response:
        assert response.status == 500
        assert response.content_type == "application/problem+json"
        assert "log" in (await response.json(content_type=None))["detail"]
    assert "could not be answered" in caplog.text
    assert TOKEN not in caplog.text


def test_a_short_token_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="http_token has 15 characters, fewer than 16"):
        load({"STREAM_APP_HTTP_TOKEN": "x" * 15})
    assert load({"STREAM_APP_HTTP_TOKEN": "x" * 16}).http_token
