"""The charts and figures of a cut: labels that can be read, windows that can be compared, times with day and zone."""

import msgspec
import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.scopes import FIRST_PANE, PANE_MS, PANES, WINDOW_END
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection, flag

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))

COLLISIONS = """() => {
    const svg = document.querySelector("#curve svg");
    const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBBox()]);
    const equal = svg.querySelector(".dashed");
    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map((name) => Number(equal.getAttribute(name)));
    const isOn = ({x, y, width, height}) => {
        const at = (px) => y1 + ((y2 - y1) * (px - x1)) / (x2 - x1);
        return at(x) > y && at(x + width) < y + height && x + width > x1 && x < x2;
    };
    const isApart = (a, b) => a.x + a.width < b.x || a.y + a.height - 3 < b.y;
    const meet = (a, b) => !isApart(a, b) && !isApart(b, a);
    const found = [];
    boxes.forEach(([name, box], i) => {
        if (isOn(box)) found.push(`${name} is on the line`);
        if (box.x + box.width > svg.clientWidth + 1 || box.x < -4) found.push(`${name} is cut off`);
        for (const [other, its] of boxes.slice(i + 1)) if (meet(box, its)) found.push(`${name} is on ${other}`);
    });
    return found;
}"""
CUT_OFF = """() => {
    const found = [];
    for (const node of document.querySelectorAll("a, button, input, select")) {
        node.focus({focusVisible: true, preventScroll: false});
        if (document.activeElement !== node || !node.checkVisibility()) continue;
        const style = getComputedStyle(node);
        if (style.outlineStyle === "none") continue;
        const reach = Math.max(0, parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth));
        const box = node.getBoundingClientRect();
        for (let on = node.parentElement; on && on !== document.body; on = on.parentElement) {
            if (getComputedStyle(on).overflowX === "visible") continue;
            const its = on.getBoundingClientRect();
            if (box.left - reach < its.left - 0.5 || box.right + reach > its.right + 0.5) {
                found.push(node.id || node.className);
            }
        }
    }
    return [...new Set(found)];
}"""


@SIZES
@pytest.mark.parametrize("percent", [3, 10, 15, 20, 25, 28, 31, 35, 45, 60, 75, 90])
async def test_labels_of_the_curve_are_not_on_lines_or_each_other(
    tab: Tab, tracker: FakeTracker, percent: int, size: tuple[int, int]
) -> None:
    scope = tracker.world.scope(Selection("phone"))
    assert scope
    scope.k, scope.diffuse = scope.users * percent // 100, percent > 33
    await tab.resize(size)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#curve svg")).to_be_visible()
    assert await tab.page.evaluate(COLLISIONS) == []
    await expect(tab.page.locator("#curve .over").first).to_contain_text("of users")


@SIZES
async def test_the_ring_of_what_has_the_focus_is_not_cut_off(tab: Tab, size: tuple[int, int]) -> None:
    await tab.resize(size)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li").first).to_be_visible()
    assert await tab.page.evaluate(CUT_OFF) == []


async def test_a_window_that_was_filling_is_not_compared_with_a_full_one(tab: Tab, tracker: FakeTracker) -> None:
    began = FIRST_PANE - (PANES - 8) * PANE_MS
    tracker.world.health = msgspec.structs.replace(tracker.world.health, counting_since=began)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#history .filling")).to_be_visible()
    note = tab.page.locator("#history-note")
    await expect(note).to_contain_text("of users on 27 Feb, 19:15, 7.9 % now.")
    await expect(tab.page.locator("#warming")).to_be_hidden()


async def test_a_tracker_that_has_not_seen_a_whole_window_says_so(tab: Tab, tracker: FakeTracker) -> None:
    began = WINDOW_END - 3 * 3_600_000
    tracker.world.health = msgspec.structs.replace(tracker.world.health, counting_since=began)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#warming")).to_contain_text("Warming up: the window holds 3 h of 24 h.")
    await expect(tab.page.locator("#history-note")).to_have_text("No other full window to compare with yet.")


async def test_times_have_their_day_and_zone(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#settings")).to_contain_text("times in Europe/London (GMT)")
    await expect(tab.page.locator("#history-note")).to_contain_text("In event time, Europe/London (GMT):")
    tracker.flag(flag("riser-01", FlagType.EMERGING))
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    await expect(tab.page.locator("#why .chart")).to_contain_text("flagged 28 Feb, 17:00")
