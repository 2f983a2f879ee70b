"""What comes from events and reaches a person: nothing in it is obeyed, hidden or drawn backwards."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.readable import (
    MAX_MARKS,
    MAX_READABLE,
    REPLACEMENT,
    escaped,
    escaped_json,
    readable,
    readable_lines,
)
from tests.hostile import FORBIDDEN, HARMLESS, HOSTILE

PAGE = Path(__file__).parents[3] / "stream_app" / "serving" / "page" / "text" / "readable.js"


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_name_is_shown_as_it_is(text: str) -> None:
    assert readable(text) == escaped(text) == text


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda one: f"U+{ord(one):04X}")
def test_a_character_that_acts_or_hides_is_seen_as_a_replacement_or_as_an_escape(character: str) -> None:
    assert readable(f"a{character}b") == f"a{REPLACEMENT}b"
    shown = escaped(f"a{character}b")
    assert shown.startswith("a\\")
    assert json.loads(f'"{shown}"') == f"a{character}b"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_one_short_line(text: str) -> None:
    for shown in (readable(text), escaped(text)):
        assert not set(shown) & set(FORBIDDEN)
        assert len(shown.splitlines()) == 1
        shown.encode()
    assert len(readable(text)) <= MAX_READABLE


def test_accents_do_not_pile_up() -> None:
    assert readable("a" + "\u0301" * 500)[: MAX_MARKS + 2] == "a" + "\u0301" * MAX_MARKS + REPLACEMENT
    assert readable("\u0301ann") == f"{REPLACEMENT}ann"


def test_a_long_name_is_cut_off() -> None:
    assert readable("x" * 300) == "x" * 255 + "…"
    assert readable("ann", 2) == "a…"


def test_lines_of_a_text_stay_lines() -> None:
    assert readable_lines("one\ntwo\r\x1b") == f"one\ntwo{REPLACEMENT * 2}"


@given(st.text(st.characters()))
def test_every_text_becomes_one_line_that_stays_the_same(text: str) -> None:
    shown = readable(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set(FORBIDDEN)
    assert readable(shown) == shown


@given(st.dictionaries(st.text(st.characters()), st.lists(st.text(st.characters()), max_size=3), max_size=3))
def test_json_with_escapes_means_the_same(value: object) -> None:
    for indent in (None, 2):
        text = json.dumps(value, ensure_ascii=False, indent=indent)
        assert json.loads(escaped_json(text)) == value
        assert json.loads(escaped_json(text, ascii_only=True)) == value
        assert escaped_json(text, ascii_only=True).isascii()
        assert not (set(escaped_json(text)) - {"\n"}) & set(FORBIDDEN)


def test_the_page_shows_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    names = [*HARMLESS, *HOSTILE.values(), *(f"a{character}b" for character in FORBIDDEN)]
    program = (
        "const { readable } = await import('data:text/javascript,' + encodeURIComponent(process.argv[1]));"
        "const names = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));"
        "console.log(JSON.stringify(names.map((name) => readable(name))));"
    )
    answer = subprocess.run(
        [node, "--input-type=module", "-e", program, PAGE.read_text(encoding="utf-8")],
        input=json.dumps(names),
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )
    assert json.loads(answer.stdout) == [readable(name) for name in names]
