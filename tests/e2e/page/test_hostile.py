"""Hostile names on the page: they stay text, and the page keeps its layout."""

from dataclasses import replace

import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from stream_app.core.readable import readable
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.scopes import influencer
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection, flag
from tests.hostile import FORBIDDEN, HOSTILE

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
    await expect(tab.page.locator("#flags .user").first).to_have_text(readable(name))
    await tab.page.locator("#topic-list a").nth(1).click()
    await expect(tab.page.locator("#sentence")).to_contain_text("7.9 %")
    await tab.page.locator("#emerging-group .user").first.click()
    await expect(tab.page.locator("#why .verdict")).to_contain_text("Is becoming a connector")
    assert await tab.page.locator("#why-user").text_content() == readable(name)
    assert await tab.page.locator("img[src=x], main script, dialog script").count() == 0
    assert "owned" not in (await tab.page.title()).replace(readable(name), "")


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


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
async def test_a_name_is_shown_as_the_terminal_and_the_alerts_show_it(
    tab: Tab, tracker: FakeTracker, name: str
) -> None:
    if "\ud800" in name:
        pytest.skip("no event in UTF-8 can hold half a character")
    plant(tracker, name)
    await tab.open()
    await expect(tab.page.locator("#flags .user").first).to_have_text(readable(name))
    text = await tab.page.evaluate("document.documentElement.textContent + document.documentElement.innerHTML")
    addresses = await tab.page.evaluate("[...document.links].map((link) => link.href).join()")
    assert not set(text) & (set(FORBIDDEN) - set("\n\t\r\u00a0"))
    assert not set(addresses) & set(FORBIDDEN)


async def test_a_name_from_right_to_left_turns_nothing_beside_it(tab: Tab, tracker: FakeTracker) -> None:
    """Drawn: the name, then what stands beside it, although a line that begins from the right would turn them."""
    plant(tracker, "\u05d0\u05d1\u05d2 123")
    await tab.open()
    flag_of_it = tab.page.locator("#flags a").first
    left, right = [
        await flag_of_it.locator(part).evaluate(
            """(node) => {
              const range = document.createRange();
              range.selectNodeContents(node);
              return range.getBoundingClientRect().left;
            }"""
        )
        for part in (".user", "time")
    ]
    assert left < right
    what = flag_of_it.locator(".what")
    assert (await what.text_content() or "").startswith("is becoming a connector in \u2068")


async def test_a_backward_name_is_drawn_in_its_order(tab: Tab, tracker: FakeTracker) -> None:
    plant(tracker, "\u202eevil-rtl")
    await tab.open()
    first, last = await tab.page.locator("#flags .user").first.evaluate(
        """(node) => {
          const edge = (from) => {
            const range = document.createRange();
            range.setStart(node.firstChild, from);
            range.setEnd(node.firstChild, from + 1);
            return range.getBoundingClientRect().left;
          };
          return [edge(1), edge(node.textContent.length - 1)];
        }"""
    )
    assert first < last
