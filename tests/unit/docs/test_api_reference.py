"""docs/reference.md names every path of the API, and no other."""

import re

from stream_app.serving.api.openapi import document
from stream_app.serving.api.routes import PREFIX
from tests.unit.docs.pages import REFERENCE, section


def test_every_path_is_in_the_reference() -> None:
    named = set(re.findall(r"^\| `(/\S*)` \|", section(REFERENCE, "HTTP API"), re.MULTILINE))
    assert {PREFIX + path for path in named} == {*document()["paths"]}
