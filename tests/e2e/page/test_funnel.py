"""The funnel in a real browser: stages, sums that are equal, K and R, what they do not mean, at both widths."""

import re
from itertools import pairwise

import msgspec
import pytest
from playwright.async_api import expect

from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.tracker import FakeTracker

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))


@SIZES
async def test_the_stages_k_and_the_sums_are_read(tab: Tab, size: tuple[int, int]) -> None:
    await tab.resize(size)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#stages li")).to_have_text(
        [
            re.compile("Reached9.07m impressions"),
            re.compile("Participated1,736"),
            re.compile("Advocates337.19.4.%"),
            re.compile("Recruiters260.15.0.%"),
            re.compile("Re-entered30 entries"),
        ]
    )
    await expect(tab.page.locator("#k-value")).to_have_text("0.71")
    await expect(tab.page.locator("#identity")).to_have_text(
        "1,766 entries = 1,736 new + 30 re-entered = 1,240 recruited + 526 self-started + 0 unknown."
    )
    for words in ("not to the cause", "credits the author", "New means new to this data"):
        await expect(tab.page.locator("#funnel")).to_contain_text(words)
    assert await tab.overflow_px() == 0


@SIZES
async def test_r_is_drawn_by_day_and_what_is_not_known_yet_is_outlined(tab: Tab, size: tuple[int, int]) -> None:
    await tab.resize(size)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#r-note")).to_contain_text("Outlined: not yet")
    chart = tab.page.locator("#cohorts svg")
    await expect(chart).to_have_attribute("aria-label", re.compile("16 Jun: R 0.88, 81 people, 71 recruits;"))
    await expect(chart).to_have_attribute(
        "aria-label", re.compile("21 Jun: R not yet, 149 people, 11 recruits so far$")
    )
    await expect(chart.locator(".cohort")).to_have_count(10)
    await expect(chart.locator(".cohort.open")).to_have_count(2)
    boxes = await chart.evaluate("""(svg) => {
        const days = [...svg.querySelectorAll("text")].filter((text) => / /.test(text.textContent));
        return days.map((text) => { const {x, width} = text.getBBox(); return [x, x + width, svg.clientWidth]; });
    }""")
    assert all(left >= -1 and right <= width + 1 for left, right, width in boxes)
    assert all(before[1] < after[0] for before, after in pairwise(boxes))


async def test_the_words_are_explained(tab: Tab) -> None:
    await tab.open("?topic=phone")
    for word, meaning in (("K", "Recruited entries"), ("Recruiters", "named"), ("R", "horizon")):
        await tab.page.locator("#funnel").get_by_role("button", name=word, exact=True).click()
        await expect(tab.page.locator("#definition")).to_contain_text(meaning)


async def test_it_follows_what_the_tracker_says(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    assert tracker.world.stages is not None
    await expect(tab.page.locator("#k-value")).to_have_text("0.71")
    tracker.world.stages = msgspec.structs.replace(
        tracker.world.stages, recruited=1241, unknown=1, entries=1767, k=0.72
    )
    tracker.refresh()
    await expect(tab.page.locator("#k-value")).to_have_text("0.72")
    await expect(tab.page.locator("#sums")).to_contain_text("1,241 recruited")


async def test_what_is_missing_is_said(tab: Tab, tracker: FakeTracker) -> None:
    tracker.world.missing = [2, 3]
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#funnel-note")).to_contain_text("People of 2 partitions are missing")
    tracker.world.stages = None
    tracker.refresh()
    await expect(tab.page.locator("#funnel-parts")).to_be_hidden()
    await expect(tab.page.locator("#funnel-note")).to_have_text(re.compile("^People of 2 partitions are missing"))
    tracker.world.missing = []
    tracker.refresh()
    await expect(tab.page.locator("#funnel-note")).to_have_text("Nobody came here within the window.")


async def test_numbers_in_steps_are_not_said_to_add_up(tab: Tab, tracker: FakeTracker) -> None:
    tracker.world.about = msgspec.structs.replace(tracker.world.about, min_group=5)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#identity")).to_have_text("1,766 entries; numbers in steps of 5 need not add up.")
