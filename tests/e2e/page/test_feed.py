"""The feed: the last flags of what is looked at, or of all; each change once; and what it says where there are none."""

import asyncio
import re
import time

import pytest
from playwright.async_api import Route, expect

from stream_app.core.messages import FlagType, Role
from tests.e2e.page.browser import DESKTOP, PHONE, Tab
from tests.e2e.page.scopes import NOW
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import flag

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


async def users(tab: Tab) -> list[str]:
    return await tab.page.locator("#flags .user").all_inner_texts()


async def test_who_emerges_is_found_however_many_enter_after_that(tab: Tab, tracker: FakeTracker) -> None:
    emerging = [flag(f"riser-{i}", FlagType.EMERGING, event_time=NOW - i * HOUR_MS) for i in range(28)]
    entered = [flag(f"many-{i}", FlagType.ENTERED, event_time=NOW + i) for i in range(300)]
    tracker.world.flags = [*reversed(emerging), *entered]
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li")).to_have_count(40)
    await expect(tab.page.locator("#flags li").first).to_contain_text("many-299")
    await tab.page.locator("#feed-type").select_option("emerging")
    await expect(tab.page.locator("#flags li")).to_have_count(28)
    assert await users(tab) == [one.user_id for one in emerging]
    await tab.page.locator("#feed-type").select_option("entered")
    await expect(tab.page.locator("#flags li")).to_have_count(40)


async def test_what_comes_while_the_feed_is_asked_for_stays_in_order(tab: Tab, tracker: FakeTracker) -> None:
    has_come = asyncio.Event()

    async def late(route: Route) -> None:
        response = await route.fetch()
        await has_come.wait()
        await route.fulfill(response=response)

    asked = re.compile(r"/api/v1/flags\?")
    await tab.page.route(asked, late)
    await tab.open()
    for number in range(3):
        tracker.flag(flag(f"many-{number}", FlagType.ENTERED))
    await expect(tab.page.locator("#flags li").first).to_contain_text("many-2")
    async with tab.page.expect_response(asked):
        has_come.set()
    tracker.flag(flag("many-3", FlagType.ENTERED))
    await expect(tab.page.locator("#flags li").first).to_contain_text("many-3")
    assert (await users(tab))[:4] == ["many-3", "many-2", "many-1", "many-0"]


async def test_an_empty_feed_says_that_there_were_none_only_as_far_as_that_is_known(
    tab: Tab, tracker: FakeTracker
) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#feed-type").select_option("left")
    await expect(tab.page.locator("#feed-note")).to_have_text("None here in the last 24 h.")
    tracker.world.flags_since = int(time.time() * 1000) - HOUR_MS
    await tab.page.locator("#feed-type").select_option("fading")
    await expect(tab.page.locator("#flags li")).to_have_count(1)
    await expect(tab.page.locator("#feed-note")).to_be_hidden()
    await tab.page.locator("#feed-type").select_option("left")
    await expect(tab.page.locator("#feed-note")).to_contain_text("None here since")
    await expect(tab.page.locator("#feed-note")).to_contain_text("Earlier ones are not kept here")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=lambda size: str(size[0]))
async def test_the_feed_follows_the_choice_and_shows_all_when_asked(
    tab: Tab, tracker: FakeTracker, size: tuple[int, int]
) -> None:
    await tab.resize(size)
    await tab.open("?topic=coffee&role=maven")
    await expect(tab.page.locator("#feed-place option").first).to_have_text("coffee, mavens")
    await expect(tab.page.locator("#flags .user")).to_have_text(["u04418"])
    tracker.flag(flag("elsewhere", FlagType.ENTERED))
    tracker.flag(flag("here", FlagType.ENTERED, role=Role.MAVEN, topic="coffee"))
    await expect(tab.page.locator("#flags .user")).to_have_text(["here", "u04418"])
    await tab.page.locator("#feed-place").select_option("all")
    await expect(tab.page.locator("#flags .user", has_text="elsewhere")).to_be_visible()
    await tab.page.locator("#topic-list a", has_text="console").click()
    await expect(tab.page.locator("#scope")).to_have_text("console")
    await expect(tab.page.locator("#flags .user", has_text="elsewhere")).to_be_visible()
    await tab.page.locator("#feed-place").select_option("")
    await expect(tab.page.locator("#flags .user")).to_have_text(["riser-07"])
    assert await tab.overflow_px() <= 0


async def test_all_topics_have_the_flags_of_every_topic_each_change_once(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open()
    twice = tab.page.locator("#flags li", has_text="riser-01")
    await expect(twice).to_have_count(1)
    await expect(twice).to_contain_text("is becoming a connector in phone and across all topics")
    await expect(tab.page.locator("#flags li", has_text="u12790")).to_contain_text(
        "is now a connector across all topics"
    )
    tracker.flag(flag("u00042", FlagType.ENTERED, topic="*"))
    await expect(tab.page.locator("#flags li", has_text="u00042")).to_contain_text("across all topics")
    tracker.flag(flag("u00042", FlagType.ENTERED, topic="phone", event_time=NOW + MINUTE_MS))
    await expect(tab.page.locator("#flags li", has_text="u00042")).to_have_count(1)
    await expect(tab.page.locator("#flags li", has_text="u00042")).to_contain_text("in phone and across all topics")
    tracker.flag(flag("u00042", FlagType.ENTERED, topic="*", event_time=NOW + HOUR_MS))
    await expect(tab.page.locator("#flags li", has_text="u00042")).to_have_count(2)


async def test_flags_that_were_missed_are_there_after_the_connection_was_lost(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li").first).to_contain_text("riser-02")
    tracker.world.flags += [flag(f"many-{i}", FlagType.ENTERED, event_time=NOW + i) for i in range(100)]
    tracker.drop()
    await expect(tab.page.locator("#flags li").first).to_contain_text("many-99")
    await expect(tab.page.locator("#flags li").last).to_contain_text("many-60")


async def test_a_flag_of_a_window_that_was_filling_says_so(tab: Tab, tracker: FakeTracker) -> None:
    tracker.flag(flag("u00042", FlagType.EMERGING, warming_up=True))
    await tab.open("?topic=phone")
    await expect(tab.page.locator("#flags li").first).to_contain_text("(the window was still filling)")
