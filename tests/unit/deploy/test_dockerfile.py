"""The Dockerfile: linted, pinned, without root; everything it names exists."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from stream_app import __version__
from stream_app.settings import Settings
from tests.unit.deploy.commands import is_command
from tests.unit.deploy.dockerfile import DOCKERFILE, IGNORED, ROOT, stages
from tests.unit.deploy.image import USER

HADOLINT = Path(sys.executable).with_name("hadolint")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def hadolint(path: Path) -> str:
    done = subprocess.run([HADOLINT, path], capture_output=True, text=True, timeout=60, check=False)
    assert bool(done.returncode) == bool(done.stdout)
    return done.stdout + done.stderr


def pinned(lock: Path) -> dict[str, str]:
    """What a lock file pins: version and hashes, by name."""
    entries = re.findall(r"^([\w.-]+)==([^\s;]+(?:[^\\\n]*\\\n[^\n]*)+)", lock.read_text(), re.MULTILINE)
    return {canonicalize_name(name): " ".join(rest.split()) for name, rest in entries}


def test_hadolint_finds_nothing() -> None:
    assert not hadolint(DOCKERFILE)


def test_hadolint_finds_a_base_that_is_not_pinned(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(re.sub("python:[^ ]+ AS", "python:latest AS", DOCKERFILE.read_text()))
    assert "DL3007" in hadolint(bad)


def test_the_base_is_pinned_to_a_patch_release_of_a_python_that_the_project_takes() -> None:
    base, build, final = stages()
    match = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-trixie(@sha256:[0-9a-f]{64})?", base.base)
    assert match
    assert match[1] in SpecifierSet(PROJECT["requires-python"])
    assert {build.base, final.base} == {base.name}
    assert final.pairs("LABEL")["org.opencontainers.image.base.name"] == base.base.partition("@")[0]


def test_the_labels_are_those_of_the_project_file() -> None:
    labels = stages()[-1].pairs("LABEL")
    expected = {"title": PROJECT["name"], "description": PROJECT["description"], "licenses": PROJECT["license"]}
    expected |= {"version": __version__, "revision": "${REVISION}"}
    assert {f"org.opencontainers.image.{name}": text for name, text in expected.items()}.items() <= labels.items()


def test_every_source_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    allowed = [line[1:] for line in IGNORED.read_text().splitlines() if line.startswith("!")]
    sources = [source for stage in stages() for copy in stage.copies() if not copy.stage for source in copy.sources]
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    assert sorted(sources) == sorted(allowed)


def test_the_image_runs_as_a_user_without_name_and_rights() -> None:
    assert stages()[-1].texts("USER") == [f"{USER}:{USER}"]
    assert stages()[-1].texts("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_runs_a_worker_that_listens_on_the_exposed_port() -> None:
    final = stages()[-1]
    assert final.command("ENTRYPOINT") == [PROJECT["name"]]
    assert is_command(final.command("CMD"))
    assert final.texts("EXPOSE") == [str(Settings().http_port)]
    assert final.pairs("ENV")["STREAM_APP_HTTP_HOST"] == "0.0.0.0"  # noqa: S104


def test_the_lock_of_the_image_pins_what_a_worker_and_the_alerts_need_and_no_other_extra() -> None:
    path = ROOT / "deploy" / "docker" / "requirements.lock"
    image, everything = pinned(path), pinned(ROOT / "requirements.lock")
    assert image.items() <= everything.items()
    extras = PROJECT["optional-dependencies"]
    in_image = {"alerts", "otlp"}
    assert names(PROJECT["dependencies"]).union(*(names(extras[extra]) for extra in in_image)) <= {*image}
    others = names(line for extra, lines in extras.items() if extra not in in_image for line in lines)
    assert others & {*image} <= {"packaging"}  # which aiokafka needs, too
    assert "://" not in path.read_text()


def names(requirements: Iterable[str]) -> set[str]:
    """The names of the packages required."""
    return {canonicalize_name(Requirement(line).name) for line in requirements}


@pytest.mark.parametrize("line", [line for stage in stages() for line in stage.texts("RUN") if "install" in line])
def test_nothing_is_installed_that_the_locks_do_not_pin(line: str) -> None:
    for command in line.split("&&"):
        if " install " in command:
            assert "--require-hashes" in command or "--no-index" in command
