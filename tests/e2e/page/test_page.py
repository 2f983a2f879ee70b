"""The page in a real browser: what it shows of a topic, and that it follows what the tracker says."""

import re

import msgspec
import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from tests.e2e.page.browser import Tab
from tests.e2e.page.scopes import NOW, influencer
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection, World, flag

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = Selection("phone")


async def test_the_page_says_who_makes_80_percent_of_the_impressions(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#scope")).to_have_text("phone")
    await expect(tab.page.locator("#sentence")).to_have_text("7.9 % of users make 80 % of impressions")
    await expect(tab.page.locator("#lead")).to_contain_text(
        "1,225 of 15,568 users (6.1 % of people) are the mass connectors"
    )
    await expect(tab.page.locator("#figures dd")).to_have_text(["1,225", "10,581", "0.89", "1,323"])
    await expect(tab.page.locator("#curve svg")).to_have_attribute(
        "aria-label", re.compile("7.9.% of 15,568 users make 80.% of the impressions")
    )
    await expect(tab.page.locator("#history svg")).to_be_visible()
    await expect(tab.page).to_have_title("phone: 7.9 % make 80 %")


async def test_digits_end_where_the_error_begins(tab: Tab, tracker: FakeTracker) -> None:
    scope = tracker.world.scope(PHONE)
    assert scope
    scope.users, scope.k, scope.error = 100, 31, 0.16
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#sentence")).to_have_text("31 % of users [26–36] make 80 % of impressions")
    await expect(tab.page.locator("#figures dd")).to_contain_text(["31 [26–36]", "10,581 [9,000–12,000]", "0.", "33"])
    await expect(tab.page).to_have_title("phone: 31 % make 80 %")
    await tab.page.locator("#sentence .term").click()
    await expect(tab.page.locator("#definition")).to_contain_text("95 times in 100")


async def test_who_is_inside_the_interval_of_theta_is_marked(tab: Tab, tracker: FakeTracker) -> None:
    scope = tracker.world.scope(PHONE)
    assert scope
    scope.users, scope.k, scope.emerging = 100, 5, []
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#other-group tr")).to_have_count(20)
    marked = tab.page.locator("#other-group tr", has_text="borderline")
    await expect(marked).to_have_count(0)
    scope.error = 0.3
    await tab.open("?topic=phone")
    inside = [rank for rank in range(1, 21) if abs(scope.value(rank) / scope.threshold - 1) < scope.error]
    await expect(marked.locator(".rank")).to_have_text([str(rank) for rank in inside])
    await expect(marked.first.locator(".borderline")).to_have_attribute("title", re.compile("Borderline: inside"))
    await marked.first.locator("a.user").click()
    why = tab.page.get_by_role("dialog")
    await expect(why).to_contain_text("Borderline: the value is inside the interval of θ, 7,000–14,000.")


async def test_a_diffuse_topic_is_described_in_words(tab: Tab) -> None:
    await tab.open("?topic=insurance&role=maven")
    await expect(tab.page.locator("#sentence")).to_have_text(
        "Nobody stands out: it takes 55.6 % of users to make 80 % of posts"
    )
    await expect(tab.page.locator("#lead")).to_contain_text("diffuse")


async def test_a_topic_with_too_few_users_is_described_in_words(tab: Tab, tracker: FakeTracker) -> None:
    scope = tracker.world.scope(PHONE)
    assert scope
    scope.users, scope.k = 12, 2
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#sentence")).to_have_text("Only 12 users: too few to single anyone out")


async def test_a_topic_that_nobody_talks_about_is_described_in_words(tab: Tab) -> None:
    await tab.open("?topic=tea")
    await expect(tab.page.locator("#sentence")).to_have_text("Nobody has made impressions here within the window.")
    await expect(tab.page.locator("#board-note")).to_contain_text("tea")


async def test_before_the_first_event_it_says_what_it_waits_for(tab: Tab, tracker: FakeTracker) -> None:
    tracker.world = World(scopes=[])
    tracker.world.health = msgspec.structs.replace(tracker.world.health, event_time=None, delay_s=None)
    await tab.open()
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    await expect(tab.page.locator("#cut")).to_be_hidden()
    tracker.world = World()
    tracker.refresh()
    await expect(tab.page.locator("#sentence")).to_have_text("9.4 % of users make 80 % of impressions")
    await expect(tab.page.locator("#empty")).to_be_hidden()


async def test_the_cut_and_the_curve_follow_what_the_tracker_says(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    curve = tab.page.locator("#curve .curve")
    before = await curve.get_attribute("d")
    scope = tracker.world.scope(PHONE)
    assert scope
    scope.k, scope.threshold = 1_401, 9_870
    tracker.refresh()
    await expect(tab.page.locator("#sentence")).to_have_text("9.0 % of users make 80 % of impressions")
    await expect(tab.page.locator("#figures dd").nth(1)).to_have_text("9,870")
    assert await curve.get_attribute("d") != before


async def test_the_emerging_come_first_and_say_how_many_like_them_enter(tab: Tab) -> None:
    await tab.open("?topic=phone")
    rows = tab.page.locator("#emerging-group tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("riser-01")
    await expect(rows.first).to_contain_text("6 of 10 enter")
    await expect(rows.first).to_contain_text("z 4.6")
    await expect(rows.first).to_contain_text("rising")
    await expect(tab.page.locator("#other-group tr").first).to_contain_text("Entered")


async def test_the_leaderboard_changes_only_where_the_data_has(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await tab.page.evaluate("""
        window.touched = new Set();
        const note = (records) => records.forEach(({target}) => touched.add(target.closest?.("tr")?.innerText ?? ""));
        const what = {subtree: true, childList: true, attributes: true};
        new MutationObserver(note).observe(document.querySelector("#other-group"), what);
    """)
    scope = tracker.world.scope(PHONE)
    assert scope
    scope.emerging[0] = influencer(
        "riser-01", 6_012, scope.total, rank=2_011, standing="emerging", z=5.2, eta_s=3_660.0, chance=0.31
    )
    tracker.refresh()
    row = tab.page.locator("#emerging-group tr").first
    await expect(row).to_contain_text("6,012")
    await expect(row).to_contain_text("3 of 10 enter")
    assert await tab.page.evaluate("touched.size") == 0


async def test_the_page_says_how_many_warnings_of_the_last_week_came_true(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#quality p")).to_have_text(
        "Connectors: of 120 warnings of the last week 78 came true (65 %). "
        "Of those who entered 70 % were foreseen, half of them 54 min or more before."
    )


async def test_a_new_flag_appears_at_the_top_of_the_feed(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li").first).to_contain_text("riser-02")
    tracker.flag(flag("u00042", FlagType.ENTERED, value=10_777, threshold=10_581, event_time=NOW + 60_000))
    first = tab.page.locator("#flags li").first
    await expect(first).to_contain_text("u00042")
    await expect(first).to_contain_text("is now a connector in phone")
    await expect(first).to_contain_text("10,777 impressions, the cut is at 10,581")


async def test_a_flag_of_another_population_says_so(tab: Tab, tracker: FakeTracker) -> None:
    tracker.flag(flag("e03840", FlagType.EMERGING, population="employee", value=180, threshold=180, eta_s=0.0))
    await tab.open("?topic=phone")
    await tab.page.locator("#feed-place").select_option("all")
    first = tab.page.locator("#flags li").first
    await expect(first).to_contain_text("is becoming a connector in phone · employee")
    await expect(first).to_contain_text("180 of 180: accelerating towards it, 6 of 10 enter")


async def test_the_feed_shows_event_time_and_never_the_age_of_it(tab: Tab) -> None:
    await tab.open()
    first = tab.page.locator("#flags li").first
    await expect(first.locator("time")).to_have_text("28 Feb, 17:09")
    assert "ago" not in await tab.page.locator("#flags").inner_text()
    await expect(tab.page.locator("#health")).to_contain_text("events of")
    await expect(tab.page.locator("#health")).to_contain_text("28 Feb 2026, 17:10")


async def test_the_feed_waits_while_somebody_reads_it(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open()
    await tab.page.locator("#flags li").nth(2).hover()
    tracker.flag(flag("u00042", FlagType.ENTERED))
    await expect(tab.page.locator("#held")).to_have_text("1 new")
    await expect(tab.page.locator("#flags li").first).to_contain_text("riser-02")
    await tab.page.locator("#held").click()
    await expect(tab.page.locator("#flags li").first).to_contain_text("u00042")
    await expect(tab.page.locator("#held")).to_be_hidden()


async def test_emerging_users_stay_in_the_feed_while_many_users_enter(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open()
    for i in range(60):
        tracker.flag(flag(f"many-{i}", FlagType.ENTERED))
    await expect(tab.page.locator("#flags li").first).to_contain_text("many-59")
    await expect(tab.page.locator("#flags li")).to_have_count(40)
    await tab.page.locator("#feed-type").select_option("emerging")
    await expect(tab.page.locator("#flags li").first).to_contain_text("riser-02")
    await expect(tab.page.locator("#flags li")).to_have_count(3)


async def test_the_health_of_the_pipeline_is_shown_in_one_line(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open()
    health = tab.page.locator("#health")
    for words in ("Live", "events/s6,364", "lag1.28k", "late60", "rejected41"):
        await expect(health).to_contain_text(words)
    tracker.world.health = msgspec.structs.replace(tracker.world.health, delay_s=2.4, ready=False, partitions=3)
    tracker.refresh()
    await expect(health).to_contain_text("Starting")
    await expect(health).to_contain_text("delay2 s")
    await expect(tab.page.locator("#banner")).to_contain_text("3 of 8 partitions")
