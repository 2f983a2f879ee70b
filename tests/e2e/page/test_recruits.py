"""The tree of those whom a user brought in, in a real browser: by keyboard, at both widths, and it ends."""

import pytest
from playwright.async_api import expect

from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.tracker import FakeTracker

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))
HOSTILE = "<img src=x onerror=alert(1)>"
WHY = "?topic=phone#why=riser-01&topic=phone"
BROUGHT = {
    "riser-01": ["ann", HOSTILE, "cem"],
    "ann": ["dee", "riser-01", "x" * 200],
    "dee": ["eve"],
    "eve": ["ann"],
}


@SIZES
async def test_it_opens_level_by_level_by_keyboard_and_ends_where_somebody_is_above(
    tab: Tab, tracker: FakeTracker, size: tuple[int, int]
) -> None:
    tracker.world.brought = BROUGHT
    await tab.resize(size)
    await tab.open(WHY)
    tree = tab.page.locator("#why .recruits")
    first = tree.locator("> ul > li")
    await expect(first).to_have_count(3)
    await expect(first.nth(0)).to_contain_text("ann")
    await expect(first.nth(0)).to_contain_text("brought in 3")
    await expect(first.nth(1).locator(".name")).to_have_text(HOSTILE)
    await expect(first.nth(1).locator("img, details")).to_have_count(0)
    await expect(first.nth(2)).to_contain_text("re-entered")
    for name, opened in (("ann", "dee"), ("dee", "eve"), ("eve", "is above")):
        summary = tree.locator("summary", has=tab.page.get_by_text(name, exact=True))
        await summary.focus()
        await tab.page.keyboard.press("Enter")
        await expect(summary.locator("xpath=..").locator("ul").first).to_contain_text(opened)
    await expect(tree.locator("li", has_text="riser-01").last).to_contain_text("is above")
    await expect(tree.locator("details")).to_have_count(3)
    await tree.scroll_into_view_if_needed()
    await tab.screenshot(f"recruits-{size[0]}")
    assert await tab.overflow_px() == 0
    assert await tab.page.locator("#why").evaluate("(why) => why.scrollWidth - why.clientWidth") == 0


async def test_a_level_is_asked_for_once(tab: Tab, tracker: FakeTracker) -> None:
    tracker.world.brought = BROUGHT
    await tab.open(WHY)
    summary = tab.page.locator("#why .recruits summary").first
    for _ in range(3):
        await summary.click()
    await expect(tab.page.locator("#why .recruits ul ul").first).to_be_visible()
    assert len([path for path in tracker.asked if "/users/recruits?id=ann" in path]) == 1


async def test_where_nobody_was_brought_in_there_is_nothing(tab: Tab) -> None:
    await tab.open(WHY)
    await expect(tab.page.locator("#why .origin")).to_be_attached()
    await expect(tab.page.locator("#why .recruits")).to_be_empty()
