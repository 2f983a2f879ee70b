"""The connection of the page: lost and restored, closed while the page is hidden, and asking for a token."""

import asyncio

import pytest
from playwright.async_api import expect

from stream_app.core.messages import FlagType
from tests.e2e.page.browser import WITHIN_MS, Tab
from tests.e2e.page.tracker import FakeTracker
from tests.e2e.page.world import flag

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_LOADED = "Failed to load resource|net::ERR"


async def connected(tracker: FakeTracker, count: int) -> None:
    async with asyncio.timeout(WITHIN_MS / 1000):
        await tracker.has_connections(count)


async def look_away(tab: Tab, *, is_hidden: bool) -> None:
    await tab.page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


async def test_a_lost_connection_is_shown_and_made_again(tab: Tab, tracker: FakeTracker) -> None:
    tab.tolerated.append(NOT_LOADED)
    await tab.open("?topic=phone")
    tracker.is_down = True
    tracker.drop()
    await expect(tab.page.locator("#health")).to_contain_text("Reconnecting")
    await expect(tab.page.locator("#banner")).to_contain_text("The connection was lost")
    await expect(tab.page.locator("#sentence")).to_contain_text("7.9 %")
    tracker.flag(flag("while-away", FlagType.ENTERED))
    tracker.is_down = False
    await expect(tab.page.locator("#health")).to_contain_text("Live")
    await expect(tab.page.locator("#banner")).to_be_hidden()
    await expect(tab.page.locator("#flags li").first).to_contain_text("while-away")
    await expect(tab.page.locator("#flags li", has_text="riser-02")).to_have_count(1)


async def test_a_connection_that_only_ended_is_made_again_without_a_word(tab: Tab, tracker: FakeTracker) -> None:
    await tab.open("?topic=phone")
    await tab.page.evaluate("""
        window.said = [];
        const note = () => said.push(document.querySelector("#health").textContent);
        const what = {subtree: true, characterData: true, childList: true};
        new MutationObserver(note).observe(document.querySelector("#health"), what);
    """)
    asked = len(tracker.asked)
    tracker.drop()
    tracker.flag(flag("after", FlagType.ENTERED))
    await expect(tab.page.locator("#flags li").first).to_contain_text("after")
    assert [path.partition("?")[0] for path in tracker.asked[asked:]] == [
        *("/api/v1/about", "/api/v1/live", "/api/v1/flags")
    ]
    assert not [words for words in await tab.page.evaluate("said") if "Reconnecting" in words]


async def test_a_tracker_that_does_not_answer_at_first_is_waited_for(tab: Tab, tracker: FakeTracker) -> None:
    tab.tolerated.append(NOT_LOADED)
    tracker.is_down = True
    await tab.page.goto(tab.address)
    await expect(tab.page.locator("#banner")).to_have_text(
        "The tracker does not answer. Trying again. The tracker says: The worker is stopping."
    )
    tracker.is_down = False
    await expect(tab.page.locator("#sentence")).to_contain_text("9.4 %")
    await expect(tab.page.locator("#banner")).to_be_hidden()


async def test_one_connection_is_open_while_somebody_looks_and_none_while_nobody_does(
    tab: Tab, tracker: FakeTracker
) -> None:
    await tab.open("?topic=phone")
    await tab.page.locator("#topic-list a", has_text="coffee").click()
    await expect(tab.page.locator("#sentence")).to_contain_text("17.6 %")
    tracker.refresh()  # what is written to a closed connection finds that it is closed
    await look_away(tab, is_hidden=True)
    tracker.flag(flag("unseen", FlagType.ENTERED, topic="coffee"))
    tracker.drop()
    await connected(tracker, 0)
    asked = len(tracker.asked)
    await look_away(tab, is_hidden=False)
    await connected(tracker, 1)
    await expect(tab.page.locator("#flags li").first).to_contain_text("unseen")
    assert len(tracker.asked) == asked + 2


async def test_a_token_is_asked_for_where_one_is_needed(tab: Tab, tracker: FakeTracker) -> None:
    tab.tolerated.append("401")
    tracker.token = "open-sesame"
    await tab.page.goto(tab.address)
    form = tab.page.get_by_role("dialog", name="This tracker asks for a token")
    await form.get_by_label("Token", exact=True).fill("guess")
    await form.get_by_role("button", name="Continue").click()
    await expect(form.get_by_role("alert")).to_have_text("This is not the token. Check it, and try again.")
    await tab.page.keyboard.press("Escape")
    await expect(form).to_be_visible()
    await form.get_by_label("Token", exact=True).fill("open-sesame")
    await tab.page.keyboard.press("Enter")
    await expect(form).to_be_hidden()
    await expect(tab.page.locator("#sentence")).to_contain_text("9.4 %")
    assert "open-sesame" not in " ".join([tab.page.url, *tracker.asked])
    await tab.page.get_by_role("button", name="Sign out").click()
    await expect(form).to_be_visible()
