"""Images of others: by an exact tag, all with a digest or none, and the documents say which; pin-images writes them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.dockerfile import ROOT

DEPLOY = ROOT / "deploy"
FILES = ("docker/Dockerfile", "compose.yaml")
DIGEST = "sha256:" + "0123456789abcdef" * 4
_IMAGE = re.compile(r"^(?:FROM|\s+image:)\s+(\S+:\S+)", re.MULTILINE)
_DOCKER = f"""#!/bin/sh
[ "$1 $2 $3" = "buildx imagetools inspect" ] && [ "$5" = --format ] || exit 9
echo "$4" >> "$ASKED"
case "$4" in $REFUSED) exit 1;; esac
echo {DIGEST}
"""


def images(folder: Path = DEPLOY) -> set[str]:
    found = {image for name in FILES for image in _IMAGE.findall((folder / name).read_text())}
    return {image for image in found if not image.startswith("stream-app:")}


def test_every_image_has_an_exact_tag_and_all_or_none_have_a_digest() -> None:
    assert len(images()) == 6
    for image in images():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", image), image
    pinned = {image for image in images() if "@" in image}
    assert pinned in (set(), images())
    if not pinned:
        assert "images of others are pinned by tag only" in (DEPLOY / "README.md").read_text()


def run(folder: Path, *words: str, refused: str = "none") -> "subprocess.CompletedProcess[str]":
    """pin-images in a copy of deploy/, with a docker that knows one digest."""
    (folder / "bin").mkdir(exist_ok=True)
    docker = folder / "bin" / "docker"
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    environ = {"PATH": f"{docker.parent}:{os.environ['PATH']}", "ASKED": str(folder / "asked"), "REFUSED": refused}
    command = [str(folder / "pin-images"), *words]
    return subprocess.run(command, env=environ, capture_output=True, check=False, text=True, timeout=30)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of deploy/, none of them pinned."""
    for name in ("pin-images", *FILES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(DEPLOY / name, tmp_path / name)
    for name in FILES:
        path = tmp_path / name
        path.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", path.read_text()))
    return tmp_path


def test_the_script_pins_every_image_and_pins_again(copy: Path) -> None:
    before = images(copy)
    assert run(copy, "--check").returncode == 1
    done = run(copy)
    assert done.returncode == 0, done.stderr
    assert images(copy) == {f"{image}@{DIGEST}" for image in before}
    assert run(copy, "--check").returncode == 0
    assert run(copy).returncode == 0
    assert images(copy) == {f"{image}@{DIGEST}" for image in before}
    assert {*(copy / "asked").read_text().split()} == before


def test_an_image_that_cannot_be_looked_up_is_named(copy: Path) -> None:
    failed = run(copy, refused="*grafana*")
    assert failed.returncode == 2
    assert "grafana/grafana:" in failed.stderr
    assert not any("@" in image for image in images(copy) if "grafana" in image)
