"""Links lead somewhere: from page to page, and from code to the documents."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.pages import DOCS, PAGES, ROOT, Link, anchors, links, name, rows, section

CODE = [
    path
    for folder in ("stream_app", "deploy", "tests", "schemas", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".js", ".yaml", ".yml", ".json", ".env", ".html", ".toml", ""}
    if path.is_file() and "golden" not in path.parts and "node_modules" not in path.parts
]
_DOCUMENT = re.compile(r"\b((?:docs|deploy|schemas|tests)/[\w./-]+\.md)(?:#([\w-]+))?")
FAULTS = section((DOCS / "reliability.md").read_text(), "What Faust does, and what is done about it")


def _mentions() -> Iterator[tuple[Path, str, str]]:
    for path in CODE:
        for document, anchor in _DOCUMENT.findall(path.read_text(errors="replace")):
            yield path, document, anchor


def _broken(link: Link) -> str:
    if not link.path.exists():
        return f"{link}: no such file"
    if link.path.suffix == ".md" and link.anchor and link.anchor not in anchors(link.path):
        return f"{link}: no such heading; there are {sorted(anchors(link.path))}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [problem for link in links(page) if (problem := _broken(link))] == []


def test_every_document_that_code_names_exists_and_has_the_section() -> None:
    mentions = list(_mentions())
    assert len(mentions) > 20
    broken = [
        f"{name(path)}: {document}{'#' * bool(anchor)}{anchor}"
        for path, document, anchor in mentions
        if not (ROOT / document).exists() or (anchor and anchor not in anchors(ROOT / document))
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, open_ = {ROOT / "README.md"}, [ROOT / "README.md"]
    while open_:
        found = {link.path for link in links(open_.pop()) if link.path.suffix == ".md" and link.path.exists()}
        open_ += found - reached
        reached |= found
    assert [name(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("fault", re.findall(r'<a id="(fault-[\w-]+)">', FAULTS))
def test_a_fault_and_the_engine_that_exists_because_of_it_link_to_each_other(fault: str) -> None:
    (cells,) = [cells for cells in rows(FAULTS) if f'id="{fault}"' in cells[0]]
    assert "](../stream_app/" in cells[2], f"{fault}: name the code in the third column"
    for file in re.findall(r"\[((?:core|engine)/[\w/]+\.py)\]", cells[2]):
        text = (ROOT / "stream_app" / file).read_text()
        assert f"docs/reliability.md#{fault}" in text, f"stream_app/{file} does not link to docs/reliability.md#{fault}"
