"""deploy/reference.md names every path of the API, and no other."""

import re
from pathlib import Path

from stream_app.serving.api.openapi import document
from stream_app.serving.api.routes import PREFIX

REFERENCE = Path(__file__).parent.parent.parent / "deploy" / "reference.md"


def test_every_path_is_in_the_reference() -> None:
    section = REFERENCE.read_text().partition("## HTTP API\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `(/\S*)` \|", section, re.MULTILINE))
    assert {PREFIX + path for path in named} == {*document()["paths"]}
