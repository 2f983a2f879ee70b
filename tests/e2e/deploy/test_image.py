"""The image at work: made by the commands of the Dockerfile, started read-only and without rights."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

from stream_app import __version__
from stream_app.demo.embedded.process import LOCALHOST, free_port
from tests.unit.deploy.dockerfile import ROOT
from tests.unit.deploy.image import USER, Container, Image
from tests.unit.deploy.test_dockerfile import pinned
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

START_S = 60.0
MOST_MB = 160


def answers(port: int, path: str) -> bool:
    """Whether a worker answers with 200 there."""
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def variables(brokers: str, port: int) -> dict[str, str]:
    """Settings of a worker with a broker of its own."""
    given = {"brokers": brokers, "redis_url": "", "http_port": str(port), "session_timeout_s": "6s"}
    return {f"STREAM_APP_{name.upper()}": text for name, text in given.items()}


@contextmanager
def running(image: Image, given: dict[str, str], log_file: Path) -> Iterator[Container]:
    """A worker in the image."""
    with log_file.open("wb") as log:
        container = image.start(given, log)
        try:
            yield container
        finally:
            container.kill()


def test_the_user_of_the_image_can_write_only_to_tmp(image: Image) -> None:
    tried = "id -u; for place in / /opt/stream-app /etc /tmp; do touch $place/x && echo $place; done"
    assert image.run({}, ["sh", "-c", tried]).stdout.split() == [USER, "/tmp"]  # noqa: S108 - the one in it
    assert image.run({}, ["sh", "-c", tried], writable=()).stdout.split() == [USER]


def test_the_image_holds_what_its_lock_pins_and_no_installer(image: Image) -> None:
    listing = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    listed = json.loads(image.run({}, ["python", "-c", listing]).stdout)
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in listed.items()}
    lock = {name: rest.split()[0] for name, rest in pinned(ROOT / "deploy" / "docker" / "requirements.lock").items()}
    assert found.pop("stream-app") == __version__
    assert found.items() <= lock.items()
    assert not {"pip", "setuptools", "flit-core", "pytest"} & {*found}


def test_the_image_is_small_and_has_the_bytecode_of_what_it_runs(image: Image) -> None:
    sizes = image.run({}, ["du", "-sk", "/opt/stream-app"])
    assert int(sizes.stdout.split()[0]) * 1024 <= MOST_MB * 1_000_000
    files = "[module.__cached__ for module in sys.modules.values() if getattr(module, '__cached__', None)]"
    listing = f"import json, sys, stream_app.worker; print(json.dumps({files}))"
    bytecode = [file for file in json.loads(image.run({}, ["python", "-c", listing]).stdout) if file[:5] == "/opt/"]
    assert len(bytecode) > 500
    assert image.run({}, ["ls", *bytecode]).stderr == ""


def test_a_worker_runs_in_it_and_ends_at_sigterm(image: Image, embedded_brokers: str, tmp_path: Path) -> None:
    port = free_port()
    given = variables(embedded_brokers, port)
    created = image.run(given, [*image.entrypoint, "topics", "create"], writable=())
    assert not created.returncode, created.stderr
    log_file = tmp_path / "worker.log"
    assert image.run(given, image.healthcheck).returncode == 1  # no worker runs yet
    with running(image, given, log_file) as worker:
        assert eventually(lambda: answers(port, "/readyz"), START_S), log_file.read_text()
        healthy = image.run(given, image.healthcheck)
        assert healthy.returncode == 0, healthy
        assert json.loads(healthy.stdout)["live"]
        assert not worker.files()
        assert worker.stop() == 0
    assert "Traceback" not in log_file.read_text()
