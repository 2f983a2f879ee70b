"""The page behind a proxy that serves it below a path of its own, and decodes what is percent-encoded in paths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from tests.e2e.page.browser import Tab
from tests.e2e.page.test_hostile import plant
from tests.e2e.page.tracker import LOCALHOST, FakeTracker

pytestmark = pytest.mark.asyncio(loop_scope="session")

BELOW = "/tracker/"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@asynccontextmanager
async def proxied(address: str) -> AsyncIterator[str]:
    """A proxy before the server at `address`; only what is below BELOW gets there."""

    async def forward(request: web.Request) -> web.StreamResponse:
        target = f"{address}/{request.match_info['rest']}"  # decoded, as some proxies do
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        asking = session.request(
            request.method,
            target,
            params=request.query,
            data=await request.read(),
            headers=headers,
            allow_redirects=False,
        )
        async with asking as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP]
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            return response

    app = web.Application()
    app.router.add_route("*", BELOW + "{rest:.*}", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, LOCALHOST, 0).start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False) as session:
        yield f"http://{LOCALHOST}:{runner.addresses[0][1]}"
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def below(tab: Tab) -> AsyncIterator[str]:
    """The tab, with the tracker below a path."""
    async with proxied(tab.address) as address:
        tab.address = address + BELOW.rstrip("/")
        yield tab.address
        await tab.page.goto("about:blank")


async def test_the_page_works_below_a_path(tab: Tab, below: str, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#sentence")).to_contain_text("%")
    await tab.page.locator(".brand").click()
    await expect(tab.page.locator("#main")).to_have_attribute("aria-busy", "false")
    assert urlsplit(tab.page.url).path == BELOW
    for link in await tab.page.locator("footer a").all():
        target = await link.evaluate("link => link.href")
        assert target.startswith(f"{below}/"), target


@pytest.mark.parametrize("user", [".", "..", "a/b", "%2F", "a?b#c", "../.."])
async def test_every_user_can_be_asked_about(tab: Tab, below: str, tracker: FakeTracker, user: str) -> None:
    plant(tracker, user)
    await tab.open()
    await tab.page.locator("#flags .user").first.click()
    await expect(tab.page.locator("#why .verdict")).to_contain_text("Is becoming a connector")
    assert await tab.page.locator("#why-user").text_content() == user


async def test_the_cookie_of_a_session_is_for_that_path(tab: Tab, below: str, tracker: FakeTracker) -> None:
    tab.tolerated.append("401")
    tracker.token = "a-token-of-this-test"
    await tab.page.goto(f"{below}/")
    await tab.page.get_by_label("Token", exact=True).fill(tracker.token)
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("#main")).to_have_attribute("aria-busy", "false")
    assert tracker.paths == [BELOW]
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(tab.page.locator("#token")).to_be_visible()
    assert tracker.paths == [BELOW, BELOW]
