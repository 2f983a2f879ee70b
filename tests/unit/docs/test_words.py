"""How the documents are written: short, in plain English, each decision in the same form."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import DOCS, PAGES, README, ROOT, blocks, name, prose, rows
from tests.unit.project.test_house import BANNED

TEXTS = [
    *PAGES,
    *(
        path
        for path in sorted((ROOT / "deploy").rglob("*"))
        if path.suffix in {".py", ".yaml", ".yml", ".env", ".json"} and path.parent.name != "docker"
    ),
]
DECISIONS = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_no_text_has_a_word_that_a_native_reader_stumbles_over(path: Path) -> None:
    assert BANNED.findall(" ".join(path.read_text().split())) == []


def test_the_readme_is_short_enough_to_be_read() -> None:
    words = prose(README).split() + " ".join(blocks(README, "sh") + blocks(README, "")).split()
    assert len(words) <= 900


def test_the_first_result_is_on_the_first_screen() -> None:
    before, found, _ = README.partition("make demo")
    assert found
    assert len(before.splitlines()) <= 12


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_a_decision_has_its_four_parts_and_fits_on_a_page(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Problem", "Decision", "Why", "What it costs"]
    assert len(text.splitlines()) <= 60


def test_the_index_has_every_decision() -> None:
    index = (DOCS / "adr" / "README.md").read_text()
    assert {path.name for path in DECISIONS} <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_the_glossary_has_each_word_once_in_order_and_with_the_words_that_matter() -> None:
    words = []
    for part in (DOCS / "glossary.md").read_text().split("\n## ")[1:]:
        entries = [cells for cells in rows(part) if cells[0] not in {"word", "---"}]
        assert all(len(cells) == 3 and cells[1] and cells[2] for cells in entries)
        here = [cells[0] for cells in entries]
        assert here == sorted(here, key=_spelling), part.splitlines()[0]
        words += here
    assert len({*words}) == len(words)
    assert {"ledger", "segment", "pane", "cut", "standing", "credit", "scope", "outbox"} <= {*words}
    assert {"watermark", "exchange", "board", "epoch", "lease"} <= {*words}


def _spelling(word: str) -> str:
    return re.sub("^ρ.*", "rho", re.sub("^θ.*", "theta", word.lower()))
