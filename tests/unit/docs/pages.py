"""The documents as their tests read them: files, links, anchors, tables and blocks of code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "schemas").glob("*.md")]
)

README = (ROOT / "README.md").read_text()
REFERENCE = (DOCS / "reference.md").read_text()
START = (DOCS / "start.md").read_text()

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="([^"]+)">')
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Link(NamedTuple):
    """A relative link of a page."""

    page: Path
    target: str

    @property
    def path(self) -> Path:
        return (self.page.parent / self.target.partition("#")[0]).resolve() if self.target[0] != "#" else self.page

    @property
    def anchor(self) -> str:
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        return f"{name(self.page)}: {self.target}"


def name(path: Path) -> str:
    """A path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def links(page: Path) -> Iterator[Link]:
    """The links of a page that lead into the repository."""
    for target in _LINK.findall(prose(page.read_text())):
        if not re.match(r"[a-z]+:", target):
            yield Link(page, target)


def anchors(page: Path) -> set[str]:
    """What a link into a page can name: its headings, as GitHub writes them, and the anchors in its text."""
    text = page.read_text()
    return {_slug(heading) for heading in _HEADING.findall(prose(text))} | set(_ANCHOR.findall(text))


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return _BLOCK.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in a language."""
    return [code for lang, code in _BLOCK.findall(text) if lang == language]


def section(text: str, heading: str) -> str:
    """A section of second order, without its heading."""
    _, found, rest = text.partition(f"## {heading}\n")
    assert found, f"no section {heading!r}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, without backticks."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


def row(text: str, first_cell: str) -> list[str]:
    """The only row of a text that begins so."""
    (found,) = [cells for cells in rows(text) if cells[0] == first_cell]
    return found
