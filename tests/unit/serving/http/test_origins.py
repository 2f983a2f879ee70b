"""Pages of other sites, other names for this machine, and the headers that every response has."""

import asyncio
import time

import pytest

from stream_app.settings import Settings
from tests.unit.serving.http.served import LOCALHOST, head, serving, status

OPEN = Settings()
API = ("/api/v1/openapi.json", "/metrics")
EVIL = "Origin: http://evil.example"
PEERS = tuple(f"/api/v1/peers/{asked}" for asked in ("funnels", "leaders", "places", "recruits", "scopes"))
JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "header",
    [
        *(EVIL, "Origin: null", "Origin: https://127.0.0.1:1", "Origin: http://127.0.0.1.evil.example", "Origin: x"),
        *("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: CROSS-SITE", "Sec-Fetch-Site: x"),
        "Origin: http://[",
    ],
)
async def test_a_page_of_another_site_may_not_ask(header: str) -> None:
    async with serving(OPEN) as served:
        for path in API:
            assert status(await served.get(path, header)) == 403
        for method in ("POST", "DELETE"):
            assert status(await served.get("/api/v1/session", header, method=method)) == 403
        for path in PEERS:
            assert status(await served.get(path, header, JSON, method="POST", body="[]")) == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_the_own_page_may_ask_also_behind_a_proxy(site: str) -> None:
    async with serving(OPEN) as served:
        for path in API:
            assert status(await served.get(path, f"Sec-Fetch-Site: {site}", "Origin: https://tracker.example")) == 200
            assert status(await served.get(path, f"Origin: http://{LOCALHOST}:{served.port}")) == 200
            assert status(await served.get(path, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")) == 200


async def test_no_page_asks_as_a_worker() -> None:
    async with serving(OPEN) as served:
        for path in PEERS:
            assert status(await served.get(path, JSON, method="POST", body="[]")) == 200
            for header in ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", f"Origin: http://{LOCALHOST}"):
                assert status(await served.get(path, JSON, header, method="POST", body="[]")) == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""])
async def test_workers_ask_in_json_only(kind: str) -> None:
    async with serving(OPEN) as served:
        for path in PEERS:
            assert status(await served.get(path, f"Content-Type: {kind}", method="POST", body="[]")) == 415


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "[", "a b", "", "[::1", "localhost.x"])
async def test_a_name_that_leads_here_is_not_enough(host: str) -> None:
    async with serving(OPEN) as served:
        for path in (*API, *PEERS):
            answer = await served.get(path, f"Host: {host}", JSON, method="POST" if path in PEERS else "GET", body="")
            assert status(answer) in {400, 403}


@pytest.mark.parametrize(
    ("host", "expected"), [("10.1.2.3:6066", 200), ("worker-1", 200), ("[fd00::1]", 200), ("evil.example", 403)]
)
async def test_metrics_of_a_worker_that_others_reach_are_asked_by_its_address(host: str, expected: int) -> None:
    async with serving(Settings(http_host="0.0.0.0")) as served:  # noqa: S104 - what it would listen to
        assert status(await served.get("/metrics", f"Host: {host}")) == expected


@pytest.mark.parametrize(
    "path", ["/", "/page/style.css", "/livez", "/metrics", "/api/v1/openapi.json", "/nothing", "/api/v1/about?x=1"]
)
async def test_every_response_has_the_headers_and_names_no_version(path: str) -> None:
    async with serving(OPEN) as served:
        got = head(await served.get(path))
        assert got["x-content-type-options"] == "nosniff"
        assert got["x-frame-options"] == "DENY"
        assert got["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in got["content-security-policy"]
        assert "server" not in got


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
async def test_what_is_no_http_is_answered_with_them_too(sent: bytes) -> None:
    async with serving(OPEN) as served:
        answer = await served.raw(sent)
        assert status(answer) == 400
        assert head(answer)["x-content-type-options"] == "nosniff"
        assert "server" not in head(answer)


@pytest.mark.parametrize(
    ("path", "question"),
    [
        (PEERS[0], b'{"topic":"t","population":"p","first_pane":1}'),
        (
            PEERS[1],
            b'{"topic":"t","population":"p","role":"maven","standings":[],"search":"","emerging_first":false,"most":1}',
        ),
        (PEERS[2], b'{"users":["u"]}'),
    ],
)
async def test_a_question_of_workers_is_bounded(path: str, question: bytes) -> None:
    many = b"[" + b",".join([question] * 8928) + b"]"
    users = b'[{"users":[' + b",".join(b'"u%d"' % number for number in range(100_000)) + b"]}]"
    async with serving(OPEN) as served:
        for body in (many, users, b"[" + b",".join([question] * 17) + b"]", b"[" * 100_000, b"[" + question + b"]" * 2):
            started = time.monotonic()
            asked = asyncio.create_task(served.get(path, JSON, method="POST", body=body.decode()))
            assert status(await served.get("/livez")) == 200
            assert status(await asked) in {400, 413}
            assert time.monotonic() - started < 2
        assert status(await served.get(path, JSON, method="POST", body=f"[{question.decode()}]")) == 200
