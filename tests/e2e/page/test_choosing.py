"""Choosing topic, population, role, standing and names on the page; and the way back."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.browser import PHONE, Tab
from tests.e2e.page.scopes import Scope
from tests.e2e.page.tracker import FakeTracker

pytestmark = pytest.mark.asyncio(loop_scope="session")


TYPE = """([field, words]) => {
    const input = document.querySelector(field);
    for (const letter of words) {
        input.value += letter;
        input.dispatchEvent(new Event("input"));
    }
}"""
"""Somebody types so fast that nothing happens between two letters, however slow the machine."""


async def names(page: Page) -> list[str]:
    return await page.locator("#board .user").all_inner_texts()


async def test_all_topics_stand_side_by_side_with_both_roles(tab: Tab) -> None:
    await tab.open("?topic=coffee")
    topics = tab.page.locator("#topic-list li")
    await expect(topics.locator(".name")).to_have_text(
        ["All topics", "phone", "insurance", "coffee", "running-shoes", "console"]
    )
    await expect(topics.nth(1).locator(".value")).to_have_text(["7.9 %", "22.0 %"])
    await expect(topics.nth(2)).to_contain_text("diffuse")
    await expect(topics.nth(3).locator("a")).to_have_attribute("aria-current", "true")


async def test_a_topic_and_a_role_are_chosen_and_the_way_back_works(tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await expect(page.locator("#scope")).to_have_text("All topics")
    await page.locator("#topic-list a", has_text="console").click()
    await expect(page.locator("#sentence")).to_have_text("3.2 % of users make 80 % of impressions")
    await expect(page).to_have_url(re.compile(r"\?topic=console&population=all&role=connector$"))
    await page.get_by_role("radio", name="Mavens").check()
    await expect(page.locator("#sentence")).to_have_text("10.9 % of users make 80 % of posts")
    await expect(page.locator("html")).to_have_attribute("data-role", "maven")
    await page.go_back()
    await expect(page.locator("#sentence")).to_have_text("3.2 % of users make 80 % of impressions")
    await expect(page.get_by_role("radio", name="Connectors")).to_be_checked()
    await page.go_back()
    await expect(page.locator("#scope")).to_have_text("All topics")
    await page.go_forward()
    await expect(page.locator("#scope")).to_have_text("console")


async def test_without_recruiters_a_sentence_says_why(tab: Tab) -> None:
    page = tab.page
    await tab.open("?topic=console")
    await expect(page.locator("#legend-recruits")).to_be_hidden()
    await page.get_by_role("radio", name="Recruiters").check()
    await expect(page.locator("#sentence")).to_have_text("Nobody has brought in recruits here within the window.")
    await expect(page.locator("#board")).to_be_hidden()
    await expect(page.locator("#board-note")).to_contain_text("Somebody is brought in by the first share in a while")


async def test_the_address_alone_says_what_is_looked_at(tab: Tab) -> None:
    await tab.open("?topic=coffee&population=all&role=maven")
    await expect(tab.page.locator("#sentence")).to_have_text("26.8 % of users make 80 % of posts")


async def test_populations_are_offered_where_there_are_several(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open()
    await expect(tab.page.locator("#population-choice")).to_be_hidden()
    scopes = [replace(scope, population="consumer") for scope in tracker.world.scopes]
    staff = [scope for scope in tracker.world.scopes if scope.topic in {"*", "coffee"}]
    tracker.world.scopes = [*scopes, *(replace(scope, population="employee", k=60) for scope in staff)]
    await tab.open()
    await expect(tab.page).to_have_url(re.compile("population=consumer"))
    await tab.page.locator("#population").select_option("employee")
    await expect(tab.page.locator("#sentence")).to_have_text("0.37 % of users make 80 % of impressions")
    await expect(tab.page.locator("#topic-list .name")).to_have_text(["All topics", "coffee"])


async def test_the_leaderboard_is_filtered_by_standing(tab: Tab) -> None:
    await tab.open("?topic=coffee")
    await tab.page.locator("#standing").select_option("fading")
    await expect(tab.page.locator("#board tr.entered")).to_have_count(0)
    await expect(tab.page.locator("#board tr.fading").first).to_be_visible()
    await tab.page.locator("#standing").select_option(label="Any standing")
    await expect(tab.page.locator("#board tr.entered").first).to_be_visible()
    await expect(tab.page.locator("#board tr.none")).to_have_count(0)
    await tab.page.locator("#standing").select_option("")
    await expect(tab.page.locator("#board tr.entered").first).to_be_visible()


async def test_a_user_is_found_by_name_with_one_question(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await tab.page.evaluate(TYPE, ["#query", "riser"])
    await expect(tab.page.locator("#board .user")).to_have_text(["riser-01", "riser-02"])
    assert [each for each in tracker.asked if "search=" in each] == [tracker.asked[-1]]
    await tab.page.get_by_label("Find a user").fill("nobody")
    await expect(tab.page.locator("#board-note")).to_have_text("No user with “nobody” in the name: phone.")
    await tab.page.get_by_label("Find a user").fill("")
    await expect(tab.page.locator("#board .user")).to_have_count(23)


async def test_the_results_of_a_search_stay_up_to_date(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await tab.page.get_by_label("Find a user").fill("riser-02")
    await expect(tab.page.locator("#board .user")).to_have_text(["riser-02"])
    for scope in tracker.world.scopes:
        scope.emerging.clear()
    tracker.refresh()
    await expect(tab.page.locator("#board-note")).to_contain_text("No user with “riser-02” in the name")


async def test_more_users_are_shown_when_asked_for(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    more = tab.page.get_by_role("button", name="Show more")
    await expect(tab.page.locator("#board-note")).to_have_text("23 of 403 users.")
    await more.click()
    await expect(tab.page.locator("#board-note")).to_have_text("53 of 403 users.")
    assert not [each for each in tracker.asked if "/influencers" in each]
    await more.click()
    await expect(tab.page.locator("#board-note")).to_have_text("103 of 403 users.")
    await expect(tab.page.locator("#other-group tr").last).to_contain_text(re.compile("^100"))
    found = await names(tab.page)
    assert len(found) == len(set(found))


async def test_a_topic_is_found_by_name_where_there_are_many(tab: Tab, tracker: FakeTracker) -> None:
    pattern = tracker.world.scopes[2]
    many = [replace(pattern, topic=f"topic-{i:02d}", users=2_000 + i, emerging=[]) for i in range(40)]
    tracker.world.scopes += list[Scope](many)
    await tab.open()
    await expect(tab.page.locator("#topic-note")).to_have_text("22 more: find them by name.")
    await tab.page.get_by_label("Find a topic").fill("topic-03")
    await expect(tab.page.locator("#topic-list .name")).to_have_text(["topic-03"])
    await tab.page.locator("#topic-list a").click()
    await expect(tab.page.locator("#scope")).to_have_text("topic-03")


async def test_the_chosen_topic_is_in_view_on_a_phone(tab: Tab) -> None:
    await tab.resize(PHONE)
    await tab.open("?topic=console")
    await expect(tab.page.locator("#topic-list [aria-current]")).to_be_in_viewport(ratio=1)


async def test_the_theme_is_remembered(tab: Tab) -> None:
    page = tab.page
    await tab.open()
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = await page.evaluate(paper)
    await page.get_by_role("button", name="Switch between dark and light").click()
    dark = await page.evaluate(paper)
    assert dark != light
    await tab.open()
    assert await page.evaluate(paper) == dark
    await page.get_by_role("button", name="Switch between dark and light").click()
    assert await page.evaluate(paper) == light
