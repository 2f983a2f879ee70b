"""The page in front of real workers that count a stream: it shows what they know, and follows what happens."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from stream_app.demo.feed import Feed, Part, Stream
from stream_app.demo.generator.activity import HOUR_MS
from stream_app.demo.generator.population import FEWEST_USERS, demo_population
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.servers import tracker as engine
from tests.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

START_S = 60.0
CALM_MS = 90_000
"""A stream in motion is followed for as long."""
LIVE_MS = 20 * HOUR_MS
SPEED = 600.0


class Scene(NamedTuple):
    """Two workers, and events that keep coming."""

    run: engine.Tracker
    addresses: list[str]


@pytest.fixture(scope="module")
def scene(embedded_brokers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    given = {"redis_url": redis_url, "redis_prefix": "paged", "population_sizes": f"all={FEWEST_USERS}"}
    environment = engine.variables(embedded_brokers, "paged", **given)
    with engine.tracker(environment, tmp_path_factory.mktemp("paged"), workers=2) as run:
        assert eventually(lambda: all(worker.has_said("/readyz on http://") for worker in run.workers), START_S)
        addresses = [str(worker.said_of_itself("/readyz on http://")) for worker in run.workers]
        assert eventually(lambda: all(map(_has_flags, addresses)), START_S)
        feed = Feed(_stream, run.settings, None)
        feed.start()
        try:
            yield Scene(run, [f"http://{address}" for address in addresses])
        finally:
            feed.stop(START_S)


def _has_flags(address: str) -> bool:
    """Whether a worker has read the last flags: until then a page is answered that they are being read."""
    try:
        with urlopen(f"http://{address}/api/v1/flags?limit=1", timeout=START_S):
            return True
    except OSError:
        return False


def _stream() -> Stream:
    """All but the last hours at once, and these slowly."""
    demo = demo_population(users=FEWEST_USERS)
    live = next(place for place, event in enumerate(demo.events) if event.ts_ms >= demo.window_end_ms - LIVE_MS)
    return Stream([Part(demo.events[:live], None), Part(demo.events[live:], SPEED)], len(demo.events))


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser, scene: Scene, screenshots: Path) -> AsyncIterator[Tab]:
    """A tab in front of the first worker, in which nothing may go wrong."""
    width, height = DESKTOP
    context = await browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
    tab = Tab(await context.new_page(), scene.addresses[0], screenshots)
    yield tab
    await context.close()
    assert not tab.complaints


async def test_a_stream_in_motion_is_followed_without_a_click(tab: Tab) -> None:
    await tab.open("?topic=phone")
    page = tab.page
    made = re.compile(r"[\d.]+\s% of users \[.+\] make 80\s% of impressions")
    await expect(page.locator("#sentence")).to_have_text(made, timeout=CALM_MS)
    await expect(page.locator("#health")).to_contain_text("Live", timeout=CALM_MS)
    await expect(page.locator("#board tbody tr").nth(9)).to_be_visible(timeout=CALM_MS)
    await expect(page.locator("#topic-list li")).to_have_count(6, timeout=CALM_MS)
    first = await page.locator("#flags li").first.inner_text()
    figures = await page.locator("#figures").inner_text()
    await expect(page.locator("#flags li").first).not_to_have_text(first, timeout=CALM_MS)
    await expect(page.locator("#figures")).not_to_have_text(figures, timeout=CALM_MS)
    await tab.screenshot("worker-1440")


async def test_a_why_adds_up(tab: Tab) -> None:
    await tab.open("?topic=phone&role=maven")
    await expect(tab.page.locator("#other-group tr").first).to_be_visible(timeout=CALM_MS)
    user = await tab.page.locator("#other-group tr .user").first.inner_text()
    await tab.page.locator("#other-group tr .user").first.click()
    why = tab.page.locator("#why")
    await expect(why).to_contain_text(user)
    await expect(why.locator("rect")).to_have_count(96)
    await expect(why.locator(".contributions").first.locator("li").first).to_be_visible()
    await expect(why).to_contain_text(re.compile(r"\d+ events of this user found in [\d,]+ records read back"))
    await expect(why.locator(".origin")).to_be_attached()
    await tab.screenshot("worker-why-1440")


async def test_a_search_finds_users_of_other_workers(tab: Tab, scene: Scene) -> None:
    await tab.open("?topic=phone&role=maven")
    await expect(tab.page.locator("#board tbody tr").nth(4)).to_be_visible(timeout=CALM_MS)
    users = await tab.page.locator("#other-group tr .user").all_inner_texts()
    for user in users[:5]:
        await tab.page.locator("#query").fill(user)
        await expect(tab.page.locator("#board tbody tr .user")).to_have_text([user])
    await tab.page.locator("#query").fill("nobody-is-called-so")
    await expect(tab.page.locator("#board-note")).to_be_visible()


async def test_nothing_is_wider_than_a_phone(tab: Tab) -> None:
    await tab.resize(PHONE)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#board tbody tr:visible").first).to_be_visible(timeout=CALM_MS)
    assert await tab.overflow_px() == 0
    await tab.screenshot("worker-390")


async def test_when_another_worker_dies_the_page_stays_and_shows_everybody_again(tab: Tab, scene: Scene) -> None:
    await tab.open("?topic=phone&role=maven")
    await expect(tab.page.locator("#board tbody tr").nth(4)).to_be_visible(timeout=CALM_MS)
    users = await tab.page.locator("#other-group tr .user").all_inner_texts()
    scene.run.workers[1].kill()
    for user in users[:5]:
        await tab.page.locator("#query").fill(user)
        await expect(tab.page.locator("#board tbody tr .user")).to_have_text([user], timeout=CALM_MS)
