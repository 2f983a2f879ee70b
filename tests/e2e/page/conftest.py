"""Chromium, started once; a tab and a tracker for every test; where pictures are kept."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.e2e.page.browser import DESKTOP, FLAGS, Tab
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import demo_flags


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of --screenshots, or one that is thrown away."""
    chosen = request.config.getoption("--screenshots")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window and with a profile of its own; skips where it is missing."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs system package chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS, chromium_sandbox=False)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tracker() -> AsyncIterator[FakeTracker]:
    """A tracker in the middle of the demo; tests change its world before the page is opened, or after."""
    tracker = FakeTracker()
    tracker.world.flags = demo_flags()
    yield tracker
    await tracker.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser, tracker: FakeTracker, screenshots: Path) -> AsyncIterator[Tab]:
    """A tab in front of the tracker, in which nothing may go wrong."""
    address = await tracker.start()
    width, height = DESKTOP
    context = await browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id="Europe/London", color_scheme="light"
    )
    tab = Tab(await context.new_page(), address, screenshots)
    yield tab
    await context.close()
    assert not tab.complaints
