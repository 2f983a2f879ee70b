"""Writes every file of schemas/ that is generated."""

from stream_app.schemas import FOLDER, files
from stream_app.schemas.asyncapi import FILE_NAME, text
from stream_app.serving.api import openapi

for name, content in {**files(), FILE_NAME: text(), openapi.FILE_NAME: openapi.text()}.items():
    (FOLDER / name).write_text(content)
