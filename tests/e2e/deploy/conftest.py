"""The image, built once for all tests that start it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.deploy.image import Image


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """What the Dockerfile makes; skips where it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="stream-app-image-") as folder:
        yield Image(Path(folder))
