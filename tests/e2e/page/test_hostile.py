"""Hostile names on the page: they stay text, and the page keeps its layout."""

from dataclasses import replace

import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.scopes import influencer
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection, flag

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
NAMES = {
    "markup": MARKUP,
    "long": "x" * 2_000,
    "words": "very long " * 200,
    "turned": "\u202egnp.exe\u0000\u2066" + "\u0301" * 60,
    "address": "../../?topic=coffee&why=1#why=x",
    "template": "${alert(1)} {{7*7}} %s %00",
}


def plant(tracker: FakeTracker, name: str) -> None:
    """A user, a topic and flags of this name."""
    pattern = tracker.world.scope(Selection("phone"))
    assert pattern
    emerging = [
        influencer(name, 3_470, pattern.total, rank=900, standing="emerging", z=4.6, eta_s=6_396.0, burst=900.0)
    ]
    tracker.world.scopes.append(replace(pattern, topic=name, users=15_600, emerging=emerging))
    tracker.flag(flag(name, FlagType.EMERGING, topic=name, eta_s=7_440.0))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_hostile_name_stays_text(tab: Tab, tracker: FakeTracker, name: str) -> None:
    plant(tracker, name)
    await tab.open()
    await expect(tab.page.locator("#flags .user").first).to_have_text(name)
    await tab.page.locator("#topic-list a").nth(1).click()
    await expect(tab.page.locator("#sentence")).to_contain_text("7.9 %")
    await tab.page.locator("#emerging-group .user").first.click()
    await expect(tab.page.locator("#why .verdict")).to_contain_text("Is becoming a connector")
    assert await tab.page.locator("#why-user").text_content() == name
    assert await tab.page.locator("img[src=x], main script, dialog script").count() == 0
    assert "owned" not in (await tab.page.title()).replace(name, "")


@pytest.mark.parametrize("size", [DESKTOP, PHONE, (320, 700), (1024, 768)], ids=lambda size: f"{size[0]}px")
@pytest.mark.parametrize("name", [None, "long", "words"])
async def test_nothing_is_wider_than_the_window(
    tab: Tab, tracker: FakeTracker, size: tuple[int, int], name: str | None
) -> None:
    await tab.resize(size)
    if name:
        plant(tracker, NAMES[name])
    await tab.open("?topic=phone")
    assert await tab.overflow_px() == 0
    await tab.page.locator("#topic-list a").nth(1).click()
    await expect(tab.page.locator("#main")).to_have_attribute("aria-busy", "false")
    assert await tab.overflow_px() == 0
    await tab.page.locator("#flags a").first.click()
    await expect(tab.page.locator("#why .body > *").first).to_be_visible()
    assert await tab.overflow_px() == 0
    assert await tab.page.evaluate("(why => why.scrollWidth - why.clientWidth)(document.querySelector('#why'))") == 0
