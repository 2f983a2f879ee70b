"""Writes every file of schemas/ that is generated."""

from stream_app.serving.api import openapi
from tests.tools.schemas import FOLDER, files
from tests.tools.schemas.asyncapi import FILE_NAME, text

for name, content in {**files(), FILE_NAME: text(), openapi.FILE_NAME: openapi.text()}.items():
    (FOLDER / name).write_text(content)
