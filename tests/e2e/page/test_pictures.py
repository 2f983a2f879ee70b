"""Pictures of the page in every state, for people to look at: kept where --screenshots says."""

from typing import Literal

import msgspec
import pytest
from playwright.async_api import expect

from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

Scheme = Literal["light", "dark"]
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


async def prepare(tab: Tab, size: tuple[int, int], scheme: Scheme) -> str:
    """A window of this size and theme, in which nothing moves; how its pictures are called."""
    await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await tab.resize(size)
    return f"{size[0]}-{scheme}"


@SIZES
@SCHEMES
async def test_the_page_is_pictured(tab: Tab, size: tuple[int, int], scheme: Scheme) -> None:
    name = await prepare(tab, size, scheme)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li").first).to_be_visible()
    await tab.screenshot(f"page-{name}")
    await tab.screenshot(f"page-whole-{name}", is_whole=True)
    await tab.open("?topic=insurance&role=maven")
    await tab.screenshot(f"diffuse-{name}")


@SIZES
@SCHEMES
async def test_a_why_is_pictured(tab: Tab, size: tuple[int, int], scheme: Scheme) -> None:
    name = await prepare(tab, size, scheme)
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    await expect(tab.page.locator("#why .origin")).to_be_attached()
    await tab.screenshot(f"why-{name}")
    await tab.page.locator("#why .origin").scroll_into_view_if_needed()
    await tab.screenshot(f"why-end-{name}")


@SIZES
@SCHEMES
async def test_the_error_states_are_pictured(
    tab: Tab, tracker: FakeTracker, size: tuple[int, int], scheme: Scheme
) -> None:
    tab.tolerated.append("Failed to load resource|net::ERR")
    name = await prepare(tab, size, scheme)
    await tab.open("?topic=phone")
    tracker.is_down = True
    tracker.drop()
    await expect(tab.page.locator("#banner")).to_be_visible()
    await tab.screenshot(f"disconnected-{name}")
    tracker.is_down = False
    tracker.token = "open-sesame"
    await tab.page.goto(tab.address)
    await expect(tab.page.locator("#token")).to_be_visible()
    await tab.screenshot(f"token-{name}")


@SIZES
@SCHEMES
async def test_the_beginning_is_pictured(tab: Tab, tracker: FakeTracker, size: tuple[int, int], scheme: Scheme) -> None:
    tracker.world = World(scopes=[])
    nothing = {"event_time": None, "delay_s": None, "events_per_s": 0.0, "lag_records": 0, "late": 0, "rejected": 0}
    tracker.world.health = msgspec.structs.replace(tracker.world.health, **nothing)
    name = await prepare(tab, size, scheme)
    await tab.open()
    await tab.screenshot(f"empty-{name}")
