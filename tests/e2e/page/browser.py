"""A tab of a real Chromium that tolerates no error, and what tests do with it."""

import re
from pathlib import Path

from playwright.async_api import ConsoleMessage, Page, expect

FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
WITHIN_MS = 15_000
"""How long anything may take on a busy machine."""
DESKTOP, PHONE = (1440, 900), (390, 844)

expect.set_options(timeout=WITHIN_MS)


class Tab:
    """The page in a tab, and what went wrong in it."""

    def __init__(self, page: Page, address: str, screenshots: Path) -> None:
        self.page = page
        self.address = address
        self.tolerated: list[str] = []
        """Patterns of the messages that a test provokes."""
        self._screenshots = screenshots
        self._complaints: list[str] = []
        page.set_default_timeout(WITHIN_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complaints.append(message.text)

    @property
    def complaints(self) -> list[str]:
        """Errors, warnings and violations of the Content-Security-Policy that no test asked for."""
        return [each for each in self._complaints if not any(re.search(pattern, each) for pattern in self.tolerated)]

    async def open(self, query: str = "") -> None:
        """Open the page and wait until it shows what it was asked for."""
        await self.page.goto(f"{self.address}/{query}")
        await expect(self.page.locator("#main")).to_have_attribute("aria-busy", "false")

    async def resize(self, size: tuple[int, int]) -> None:
        """Make the window so many pixels wide and high."""
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})

    async def overflow_px(self) -> int:
        """By how many pixels the page is wider than the window."""
        found: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return found

    async def screenshot(self, name: str, *, is_whole: bool = False) -> None:
        """Keep a picture of what is seen."""
        await self.page.evaluate("document.fonts.ready")
        await self.page.screenshot(path=self._screenshots / f"{name}.png", full_page=is_whole, animations="disabled")
