"""The explanation of a user: opened from the feed and the leaderboard, by mouse, keyboard and address."""

import re

import msgspec
import pytest
from playwright.async_api import Locator, expect

from tests.e2e.page.browser import Tab
from tests.e2e.page.scopes import VERSION
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import Selection, evidence

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def focused(tab: Tab) -> str:
    found: str = await tab.page.evaluate("document.activeElement.textContent")
    return found


def row(why: Locator, name: str) -> Locator:
    return why.locator("table tr", has_text=name).locator("td")


async def test_a_flag_opens_its_why_by_mouse(tab: Tab) -> None:
    await tab.open()
    await tab.page.locator("#flags a", has_text="becoming a connector in phone").last.click()
    why = tab.page.get_by_role("dialog", name="riser-01")
    await expect(why).to_contain_text("Is becoming a connector in phone: accelerating towards it.")
    await expect(why).to_contain_text("Rule 3")
    await expect(why).to_contain_text("carried by 5 moments or more")
    await expect(why).to_contain_text("96 panes of 15 min add up to 3,470 impressions.")
    await expect(why.locator("rect")).to_have_count(96)
    await expect(row(why, "θ, what it takes")).to_have_text(["10,240", "10,581"])
    await expect(row(why, "chance to enter")).to_have_text(["6 of 10 enter"] * 2)
    await expect(why).to_contain_text(
        "A chance of 64 % to enter within 12 h, from what became of 431 flags of this tracker."
    )
    await expect(why.locator(".contributions").first.locator("li").first).to_contain_text("486")
    await expect(why.locator(".contributions").last).to_contain_text("by u07931")
    await expect(why).to_contain_text("14 events of this user found in 20,412 records read back.")
    await expect(why.locator(".origin")).to_contain_text(VERSION)
    await expect(tab.page).to_have_url(re.compile(r"#why=riser-01&topic=phone&population=all&role=connector$"))


async def test_a_why_opens_by_enter_and_closes_by_escape_and_the_focus_returns(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#board .user", has_text="riser-02").focus()
    await tab.page.keyboard.press("Enter")
    why = tab.page.get_by_role("dialog", name="riser-02")
    await expect(why.locator("table")).to_be_visible()
    assert await tab.page.evaluate("document.activeElement.closest('dialog')?.id") == "why"
    await tab.page.keyboard.press("Escape")
    await expect(why).to_be_hidden()
    await expect(tab.page).to_have_url(re.compile(r"\?topic=phone$"))
    assert await focused(tab) == "riser-02"


async def test_the_whole_row_opens_its_why(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#other-group tr").first.locator(".share").click()
    why = tab.page.locator("#why")
    await expect(why).to_be_visible()
    await expect(why).to_contain_text("At or above the cut, but not flagged:")
    await expect(why.locator("thead th")).to_have_text(["now"])
    await why.get_by_role("button", name="Close").click()
    await expect(why).to_be_hidden()


async def test_a_why_is_reached_by_its_address_and_left_by_back(tab: Tab) -> None:
    await tab.open("?topic=coffee#why=riser-01&topic=phone&population=all&role=connector")
    why = tab.page.get_by_role("dialog", name="riser-01")
    await expect(why.locator("table")).to_be_visible()
    await expect(tab.page.locator("#scope")).to_have_text("coffee")
    await tab.page.keyboard.press("Escape")
    await expect(tab.page).to_have_url(re.compile(r"\?topic=coffee$"))
    await tab.page.locator("#feed-place").select_option("all")
    await tab.page.locator("#flags a").first.click()
    await expect(tab.page.locator("#why")).to_be_visible()
    await tab.page.go_back()
    await expect(tab.page.locator("#why")).to_be_hidden()


async def test_a_why_leads_to_all_users_of_its_topic(tab: Tab) -> None:
    await tab.open("?topic=coffee#why=riser-07&topic=console&population=all&role=maven")
    await tab.page.get_by_role("link", name="See all mavens: console").click()
    await expect(tab.page.locator("#why")).to_be_hidden()
    await expect(tab.page.locator("#sentence")).to_have_text("10.9 % of users make 80 % of posts")


async def test_a_click_beside_it_closes_a_why(tab: Tab) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#board .user").first.click()
    await expect(tab.page.locator("#why")).to_be_visible()
    await tab.page.mouse.click(100, 400)
    await expect(tab.page.locator("#why")).to_be_hidden()


async def test_a_user_who_is_gone_is_reported(tab: Tab) -> None:
    tab.tolerated.append("404")
    await tab.open("?topic=phone#why=gone&topic=phone")
    await expect(tab.page.get_by_role("alert").first).to_have_text("This user has no value here in the window.")


async def test_evidence_that_is_not_complete_says_so(tab: Tab, tracker: FakeTracker) -> None:
    note = "Kafka keeps the posts of the last hour only."
    tracker.world.evidence = msgspec.structs.replace(evidence(), posts=[], is_complete=False, note=note)
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    why = tab.page.locator("#why")
    await expect(why).to_contain_text("No posts in the window.")
    await expect(why).to_contain_text(f"Not all of the window could be read back. {note}")


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
async def test_a_term_is_explained_to_mouse_and_keyboard(tab: Tab, way: str) -> None:
    await tab.open("?topic=phone")
    gini = tab.page.get_by_role("button", name="Gini")
    if way == "mouse":
        await gini.hover()
    else:
        await gini.focus()
        await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("#definition")).to_contain_text("0 when all make the same")
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.locator("#definition")).to_be_hidden()


async def test_an_open_definition_stays_open_while_the_numbers_change(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await tab.page.get_by_role("button", name="Gini").focus()
    await tab.page.keyboard.press("Enter")
    scope = tracker.world.scope(Selection("phone"))
    assert scope
    scope.k = 1_401
    tracker.refresh()
    await expect(tab.page.locator("#sentence")).to_contain_text("9.0 %")
    assert await focused(tab) == "Gini"
    await expect(tab.page.locator("#definition")).to_be_visible()


@pytest.mark.parametrize("way", ["hover", "click"])
async def test_escape_takes_a_definition_away_and_then_the_why(tab: Tab, way: str) -> None:
    await tab.open("?topic=phone#why=riser-01&topic=phone")
    z = tab.page.locator("#why").get_by_role("button", name="z", exact=True)
    await (z.hover() if way == "hover" else z.click())
    await expect(tab.page.locator("#why #definition")).to_contain_text("standard deviations")
    await expect(tab.page.locator("#why #definition")).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.locator("#definition")).to_be_hidden()
    await expect(tab.page.locator("#why")).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(tab.page.locator("#why")).to_be_hidden()
