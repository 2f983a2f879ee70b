"""deploy/compose.yaml as docker compose itself understands it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from stream_app.settings import FILE_SUFFIX
from tests.unit.deploy.dockerfile import ROOT, stages

COMPOSE_FILE = ROOT / "deploy" / "compose.yaml"
DOCKER_COMPOSE = Path(sys.executable).with_name("docker-compose")
OURS = ("topics", "worker-1", "worker-2", "alerts")
"""The services that run our image."""
SECRET = "planted-secret-text"


@cache
def configured() -> Any:
    """The whole configuration, with everything merged."""
    return read(COMPOSE_FILE)


def read(path: Path) -> Any:
    """A compose file, as docker compose prints it; it may warn of nothing."""
    command = [str(DOCKER_COMPOSE), "--file", str(path), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert not done.returncode, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def services() -> dict[str, Any]:
    """Every service, by name."""
    found: dict[str, Any] = configured()["services"]
    return found


def variables_of(name: str) -> dict[str, str]:
    """The environment of one of our services: that of the image, and its own, with what its secrets hold."""
    own: dict[str, str] = services()[name]["environment"]
    secrets = {f"/run/secrets/{secret['source']}" for secret in services()[name].get("secrets", ())}
    in_files = {variable for variable, path in own.items() if path in secrets}
    values = {variable.removesuffix(FILE_SUFFIX): SECRET for variable in in_files}
    return {**stages()[-1].pairs("ENV"), **{key: own[key] for key in own.keys() - in_files}, **values}


def writable(name: str) -> list[str]:
    """Where a service may write and nothing is kept."""
    return [mount.partition(":")[0] for mount in services()[name].get("tmpfs", ())]
