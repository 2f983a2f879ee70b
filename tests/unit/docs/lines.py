"""Corrects the files and lines in docs/architecture.md: `python -m tests.unit.docs.lines`, after code has moved.

The document names code as two cells of a table: `stream_app/engine/producer.py:49` and `BatchingProducer.put`.
"""

import ast
import re
from typing import NamedTuple

from tests.unit.docs.pages import DOCS, ROOT, name

ARCHITECTURE = DOCS / "architecture.md"
_PLACE = re.compile(r"\[`(stream_app/[\w/.]+):(\d+)`\]\(\.\./(stream_app/[\w/.]+)#L(\d+)\) \| `([\w.#]+)`")


class Place(NamedTuple):
    """A definition that the document names."""

    file: str
    line: int
    name: str

    @property
    def is_right(self) -> bool:
        return self.line in _lines(self.file, self.name)

    def found(self) -> list["Place"]:
        """Where the name is defined: in its file, else in all others."""
        files = [self.file]
        if not _lines(self.file, self.name):
            suffix = self.file.rpartition(".")[2]
            files = [name(path) for path in sorted((ROOT / "stream_app").rglob(f"*.{suffix}"))]
        return [Place(file, line, self.name) for file in files for line in _lines(file, self.name)]

    def __str__(self) -> str:
        return f"[`{self.file}:{self.line}`](../{self.file}#L{self.line}) | `{self.name}`"


def places(text: str) -> list[Place]:
    """Every place in the document. Raises AssertionError where a link does not lead to its text."""
    found = []
    for file, line, linked_file, linked_line, named in _PLACE.findall(text):
        assert (file, line) == (linked_file, linked_line), f"{file}:{line} links to {linked_file}#L{linked_line}"
        found.append(Place(file, int(line), named))
    return found


def wrong(text: str) -> list[str]:
    """What is wrong with the places in the document, each with the right one."""
    return [
        f"{place.name}: {place.file}:{place.line} should be "
        + (" or ".join(f"{there.file}:{there.line}" for there in place.found()) or "taken out: nothing defines it")
        for place in places(text)
        if not place.is_right
    ]


def corrected(text: str) -> str:
    """The document with the right files and lines, where a name is defined in one place only."""
    for place in places(text):
        if not place.is_right and len(found := place.found()) == 1:
            text = text.replace(str(place), str(found[0]))
    return text


def _lines(file: str, dotted: str) -> list[int]:
    path = ROOT / file
    if not path.exists():
        return []
    return _python(path.read_text(), dotted) if path.suffix == ".py" else _script(path.read_text(), dotted)


def _python(source: str, dotted: str) -> list[int]:
    scopes: list[ast.AST] = [ast.parse(source)]
    for part in dotted.split("."):
        scopes = [node for scope in scopes for node in ast.iter_child_nodes(scope) if _defines(node, part)]
    return [node.lineno for node in scopes if isinstance(node, ast.stmt)]


def _defines(node: ast.AST, part: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == part
    return isinstance(node, ast.Assign) and any(ast.unparse(target) == part for target in node.targets)


def _script(source: str, dotted: str) -> list[int]:
    last = re.escape(dotted.rpartition(".")[2])
    definition = re.compile(rf"^(?:export )?(?:function|const|class) {last}\b|^  (?:async )?{last}\(.*\{{$")
    return [number for number, line in enumerate(source.splitlines(), start=1) if definition.match(line)]


if __name__ == "__main__":
    ARCHITECTURE.write_text(corrected(ARCHITECTURE.read_text()))
