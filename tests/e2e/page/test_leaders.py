"""The leaderboard: a few who emerge before the leaders, who slowed down apart, and why somebody above θ has no flag."""

import msgspec
import pytest
from playwright.async_api import expect

from stream_app.core.signals.facts import Fact, Signal, all_said
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.scopes import Scope, influencer
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection

pytestmark = pytest.mark.asyncio(loop_scope="session")

CUT_SHORT = """board => [...board.querySelectorAll(".user, :is(td, th):not(.activity)")]
    .filter(node => node.scrollWidth > node.clientWidth || (node.matches("tbody .who") && node.clientWidth < 90))
    .map(node => `${node.className} ${node.textContent}: ${node.scrollWidth} in ${node.clientWidth} px`)"""
OVERFLOW_PX = "board => board.offsetWidth - board.parentElement.clientWidth"


def chosen(tracker: FakeTracker, topic: str = "phone") -> Scope:
    scope = tracker.world.scope(Selection(topic))
    assert scope
    return scope


def emerge(scope: Scope, on_course: int, slowed: int) -> None:
    """So many of each emerge."""
    scope.emerging = [
        influencer(f"riser-{i}", 9_000 - i, scope.total, rank=2_000 + i, standing="emerging", eta_s=eta_s)
        for i, eta_s in enumerate([*(60.0 * (i + 1) for i in range(on_course)), *[None] * slowed])
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))
async def test_ten_of_many_emerging_stand_before_the_leaders_and_who_slowed_down_after(
    tab: Tab, tracker: FakeTracker, size: tuple[int, int]
) -> None:
    await tab.resize(size)
    emerge(chosen(tracker), 12, 41)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#emerging-group tr")).to_have_count(10)
    await expect(tab.page.locator("#other-group tr")).to_have_count(20)
    await expect(tab.page.locator("#slowed-group tr")).to_have_count(10)
    groups = tab.page.locator("#board .group th")
    await expect(groups).to_have_text(
        ["On their way to the cut: 10 of 12", "By impressions in the window", "Slowed down on the way: 10 of 41"]
    )
    await expect(tab.page.locator("#emerging-group")).not_to_contain_text("slowed down")
    await expect(tab.page.locator("#slowed-group tr").first).to_contain_text("slowed down")
    await expect(tab.page.locator("#other-group tr").first).to_contain_text("2,458,404")
    assert await tab.overflow_px() <= 0


@pytest.mark.parametrize("width", [1440, 1366, 1280, 1279, 1000, 860, 859, 700, 620, 390])
async def test_users_have_their_names_however_wide_the_page_is(tab: Tab, tracker: FakeTracker, width: int) -> None:
    scope = chosen(tracker)
    few = influencer("u00042", 7_519, scope.total, rank=1_563, standing="emerging", z=-2.13, eta_s=60.0, chance=0.65)
    scope.emerging = [msgspec.structs.replace(few, trend="rising", borderline=True)]
    await tab.resize((width, 900))
    await tab.open("?topic=phone")
    board = tab.page.locator("#board")
    await expect(board.locator(".user")).to_have_count(21)
    assert await board.evaluate(CUT_SHORT) == []
    assert await board.evaluate(OVERFLOW_PX) <= 0
    assert await tab.overflow_px() <= 0
    await tab.screenshot(f"leaders-{width}", is_whole=True)


async def test_the_first_click_shows_more_however_many_emerge(tab: Tab, tracker: FakeTracker) -> None:
    emerge(chosen(tracker), 40, 10)
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#board .group th").first).to_have_text("On their way to the cut: 10 of more than 30")
    await tab.page.get_by_role("button", name="Show more").click()
    await expect(tab.page.locator("#other-group tr")).to_have_count(50)


async def test_everybody_who_emerges_is_listed_where_that_is_asked_for(tab: Tab, tracker: FakeTracker) -> None:
    emerge(chosen(tracker), 12, 41)
    await tab.open("?topic=phone")
    await tab.page.locator("#standing").select_option("emerging")
    await expect(tab.page.locator("#emerging-group tr")).to_have_count(12)
    await expect(tab.page.locator("#slowed-group tr")).to_have_count(8)
    await tab.page.get_by_role("button", name="Show more").click()
    await expect(tab.page.locator("#slowed-group tr")).to_have_count(38)


async def test_the_headline_and_the_rows_say_who_has_too_little_evidence(tab: Tab, tracker: FakeTracker) -> None:
    scope = chosen(tracker, "console")
    scope.users, scope.k, scope.threshold, scope.least = 238, 49, 478, 1000
    await tab.open("?topic=console")
    enough = scope.with_evidence
    assert 0 < enough < 49
    lead = tab.page.locator("#lead")
    await expect(lead).to_contain_text("49 of 238 users")
    await expect(lead).to_contain_text(
        f"Only {enough} with the least evidence, 1,000 impressions, are mass connectors; the other {49 - enough} cannot"
    )
    await tab.page.get_by_role("button", name="Show more").click()
    await expect(tab.page.locator("#board tr", has_text="needs 1,000 impressions, has")).to_have_count(49 - enough)
    await expect(tab.page.locator("#other-group tr").first).to_contain_text("Entered")


async def test_a_cut_without_anybody_of_evidence_says_what_is_missing(tab: Tab, tracker: FakeTracker) -> None:
    scope = chosen(tracker, "console")
    scope.least = 10**9
    await tab.open("?topic=console")
    await expect(tab.page.locator("#lead")).to_contain_text(
        "None has the least evidence, 1,000 impressions, so nobody is flagged."
    )


async def test_the_figures_say_how_many_are_flagged(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#figures dd")).to_have_text(["1,225", "10,581", "0.89", "1,323"])
    await expect(tab.page.locator("#figures > div").last).to_have_attribute("title", "entered or fading; 3 more emerge")
    await expect(tab.page.locator("#board thead")).not_to_contain_text("z")


async def test_a_long_pane_and_window_are_said_in_readable_lengths(tab: Tab, tracker: FakeTracker) -> None:
    tracker.world.about = msgspec.structs.replace(tracker.world.about, window_s=96 * 30 * 86_400, pane_s=30 * 86_400)
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    why = tab.page.locator("#why")
    await expect(why).to_contain_text("96 panes of 30 d add up to 3,470 impressions.")
    await expect(why).to_contain_text("last 1 h")
    await expect(why.locator("rect.recent")).to_have_count(0)
    await expect(why).not_to_contain_text("min,")


async def test_a_user_with_facts_has_a_mark_with_the_numbers_and_can_be_left_out(
    tab: Tab, tracker: FakeTracker
) -> None:
    scope = chosen(tracker)
    regular = Fact(Signal.REGULAR, 0.0, 0.1, 80, {"mean_gap_s": 60.0})
    one_sided = Fact(Signal.ONE_SIDED, 1.0, 0.9, 80, {"distinct_posts": 1.0})
    bot = influencer("bot", 9_000, scope.total, rank=2_000, standing="emerging")
    scope.emerging = [msgspec.structs.replace(bot, signals=[regular, one_sided], trusted=0)]
    await tab.open("?topic=phone")
    facts = all_said([regular, one_sided])
    row = tab.page.locator("#board tr", has_text="bot")
    mark = row.locator(".noticed")
    await expect(mark).to_be_visible()
    await expect(mark).to_have_attribute("title", f"{facts}\ntrusted: 0 of 9,000")
    await expect(tab.page.locator("#board .noticed:visible")).to_have_count(1)
    await row.click()
    await expect(tab.page.locator("#why-content")).to_contain_text(facts)
    await expect(tab.page.locator("#why-content")).to_contain_text("Trusted: 0 of 9,000 impressions")
    await tab.page.keyboard.press("Escape")
    await tab.page.get_by_label("Without marked").check()
    await expect(row).to_have_count(0)
    await expect(tab.page.locator("#other-group tr").first).to_be_visible()
