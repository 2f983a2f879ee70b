"""Accessibility of the page: what axe finds, the keyboard, and the settings of the system for motion and contrast."""

import json
from typing import Literal

import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from tests.e2e.page.axe import NpmMissing, axe_source
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import flag

pytestmark = pytest.mark.asyncio(loop_scope="session")

Scheme = Literal["light", "dark"]
EXAMINE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    ({id, nodes}) => ({id, nodes: nodes.map(node => node.html.slice(0, 160) + " " + node.failureSummary)}))"""


@pytest.fixture(scope="session")
def axe() -> str:
    try:
        return axe_source()
    except NpmMissing as missing:
        pytest.skip(str(missing))


async def examine(tab: Tab, axe: str) -> str:
    """What axe objects to, as text; empty where it does to nothing."""
    await tab.page.evaluate(axe)
    found = await tab.page.evaluate(EXAMINE)
    return json.dumps(found, indent=1) if found else ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_axe_finds_nothing(
    tab: Tab, tracker: FakeTracker, axe: str, scheme: Scheme, size: tuple[int, int]
) -> None:
    tracker.world.brought = {"riser-01": ["ann", "bob"], "ann": ["cem"]}
    await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await tab.resize(size)
    for query in ("?topic=phone", "?topic=insurance&role=maven", "?topic=tea"):
        await tab.open(query)
        assert not await examine(tab, axe)
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    await tab.page.locator("#why .recruits summary").click()
    await expect(tab.page.locator("#why .recruits ul ul")).to_be_visible()
    assert not await examine(tab, axe)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_where_something_is_wrong(
    tab: Tab, tracker: FakeTracker, axe: str, scheme: Scheme
) -> None:
    tab.tolerated.append("Failed to load resource|net::ERR")
    await tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await tab.open("?topic=phone")
    tracker.is_down = True
    tracker.drop()
    await expect(tab.page.locator("#banner")).to_be_visible()
    assert not await examine(tab, axe)
    tracker.is_down = False
    tracker.token = "open-sesame"
    await tab.page.goto(tab.address)
    await expect(tab.page.locator("#token")).to_be_visible()
    assert not await examine(tab, axe)
    tracker.token = None
    tracker.world.scopes.clear()
    await tab.open()
    assert not await examine(tab, axe)


async def test_axe_does_find_what_is_wrong(tab: Tab, axe: str) -> None:
    await tab.open("?topic=phone")
    await tab.page.evaluate("document.querySelector('label[for=query]').remove()")
    await tab.page.evaluate("document.querySelector('#query').placeholder = ''")
    await tab.page.evaluate("document.querySelector('#lead').style.color = 'silver'")
    found = await examine(tab, axe)
    assert '"label"' in found
    assert '"color-contrast"' in found


async def test_everything_is_reached_by_tab_in_the_order_it_is_seen(tab: Tab) -> None:
    await tab.open("?topic=phone")
    reached = []
    for _ in range(40):
        await tab.page.keyboard.press("Tab")
        reached.append(
            await tab.page.evaluate("(at => at.id || at.value || at.textContent.trim())(document.activeElement)")
        )
    wanted = ["Skip to the leaderboard", "Influence", "theme", "connector", "Gini", "query", "standing", "riser-01"]
    assert [each for each in reached if each in wanted] == wanted


async def test_the_focus_is_visible(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#query").focus()
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Tab")
    width = await tab.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert width >= 2


async def test_numbers_are_not_spoken_and_flags_with_measure(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    spoken = tab.page.locator("#spoken")
    await expect(tab.page.locator("#flags li").first).to_contain_text("riser-02")
    assert await tab.page.locator("#cut [aria-live], #board [aria-live], #flags[aria-live]").count() == 0
    for i in range(5):
        tracker.flag(flag(f"new-{i}", FlagType.ENTERED))
    await expect(spoken).not_to_be_empty()
    assert "new-4 is now a connector in phone" in (await spoken.text_content() or "")
    assert "riser" not in (await spoken.text_content() or "")


async def test_nothing_moves_where_somebody_wants_it_so(tab: Tab) -> None:
    await tab.page.emulate_media(reduced_motion="reduce")
    await tab.open("?topic=phone")
    await tab.page.locator("#board .user").first.click()
    await expect(tab.page.locator("#why table")).to_be_visible()
    assert await tab.page.evaluate("document.getAnimations().length") == 0
