"""A real Alertmanager, which receives alerts about flags."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest

from stream_app.demo.embedded.process import LOCALHOST, local_server
from tests.servers.prometheus import is_ready

CONFIG = Path(__file__).parent.parent.parent / "deploy" / "compose" / "alertmanager.yml"
_TIMEOUT_S = 10.0


class Alertmanager(NamedTuple):
    """One that runs."""

    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOCALHOST}:{self.port}"

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows."""
        with urlopen(f"{self.url}/api/v2/alerts", timeout=_TIMEOUT_S) as response:
            found: list[dict[str, Any]] = json.load(response)
            return found


@contextmanager
def alertmanager(folder: Path) -> Iterator[Alertmanager]:
    """Alertmanager with the configuration of compose; skips where it is missing."""
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        pytest.skip("needs system package: prometheus-alertmanager (it receives alerts about flags)")

    def command(port: int) -> list[str]:
        return [
            *(binary, f"--config.file={CONFIG}", f"--storage.path={folder}", "--cluster.listen-address="),
            f"--web.listen-address={LOCALHOST}:{port}",
        ]

    with local_server("Alertmanager", command, is_ready, log_file=folder / "alertmanager.log") as port:
        yield Alertmanager(port)
