"""docs/architecture.md: its folders exist, and each place in the code defines what it is said to define."""

import re

from tests.unit.docs.lines import ARCHITECTURE, Place, corrected, places, wrong
from tests.unit.docs.pages import ROOT, blocks, section

TEXT = ARCHITECTURE.read_text()
MOST_FORMS = {"The way of an event": 14, "The way of a flag": 4}


def _tree() -> dict[str, str]:
    """What the document says of each folder, by path."""
    (tree,) = [block for block in blocks(TEXT, "") if block.startswith("stream_app/")]
    found: dict[str, str] = {}
    parents: list[str] = []
    for line in tree.splitlines():
        indent, folder, what = re.fullmatch(r"( *)([\w.]+/?) +(\S.*)", line).groups()  # type: ignore[union-attr]
        parents = [*parents[: len(indent) // 2], folder]
        found["".join(parents)] = what
    return found


def test_the_tree_has_every_folder_of_the_package_and_no_other() -> None:
    named = {path.rstrip("/") for path in _tree()}
    there = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "stream_app").rglob("*.py")}
    gone = {path for path in named if not ((ROOT / path).exists() or (ROOT / f"{path}.py").exists())}
    assert gone == set(), "these are gone: take them out"
    assert {path for path in there if path not in named} == set(), "say in a line what these hold"


def test_every_place_in_the_code_is_where_the_document_says() -> None:
    assert len(places(TEXT)) >= 15
    assert wrong(TEXT) == [], "run `python -m tests.unit.docs.lines`; correct what it leaves by hand"


def test_an_event_and_a_flag_have_no_more_forms_than_the_document_may_name() -> None:
    for heading, most in MOST_FORMS.items():
        steps = re.findall(r"^\| (\d+) \|", section(TEXT, heading), re.MULTILINE)
        assert steps == [str(number + 1) for number in range(len(steps))]
        assert 0 < len(steps) <= most


def test_a_wrong_place_is_reported_with_the_right_one_and_corrected() -> None:
    (right,) = Place("stream_app/core/messages.py", 1, "Flag").found()
    for here in (right._replace(line=1), right._replace(file="stream_app/core/arrays.py")):
        assert wrong(f"{here}") == [f"Flag: {here.file}:{here.line} should be {right.file}:{right.line}"]
        assert corrected(f"x {here} x") == f"x {right} x"
    (gone,) = wrong(f"{right._replace(name='Flag.no_such')}")
    assert gone.endswith("taken out: nothing defines it")
