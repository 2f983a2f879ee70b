"""A real Prometheus, which scrapes workers and judges them by the rules in deploy/prometheus."""

import json
import math
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from stream_app.demo.embedded.process import LOCALHOST, local_server

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "prometheus"
_SCRAPE = "1s"
_TIMEOUT_S = 10.0
_PROMTOOL_S = 60.0


def require(program: str) -> str:
    """Where a program of Prometheus is; skips the test where it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs system package: prometheus (the tests of alerts and dashboards run its {program})")
    return found


def promtool(*arguments: str | Path) -> str:
    """What promtool says; fails where it finds a fault."""
    command = [require("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROMTOOL_S)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


class Prometheus(NamedTuple):
    """One that runs."""

    port: int

    def values(self, expr: str) -> list[float]:
        """The values an expression has now, one for each series, without those that are not finite."""
        found = self.ask("query", {"query": expr})["result"]
        return [value for series in found if math.isfinite(value := float(series["value"][1]))]

    def label_values(self, label: str, series: str) -> list[str]:
        """The values that a label of some series has."""
        found: list[str] = self.ask(f"label/{label}/values", {"match[]": series})
        return found

    def ask(self, what: str, parameters: Mapping[str, str] | None = None) -> Any:
        """What the HTTP API answers. Fails with its words where it finds a fault."""
        url = f"http://{LOCALHOST}:{self.port}/api/v1/{what}?{urlencode(parameters or {})}"
        try:
            with urlopen(url, timeout=_TIMEOUT_S) as response:
                return json.load(response)["data"]
        except HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


@contextmanager
def prometheus(targets: Sequence[str], folder: Path, alerts: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Prometheus with the configuration of deploy/prometheus, but for its targets and a quicker pace.

    `alerts`: where the process that delivers serves.
    """
    binary = require("prometheus")
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
    name = f"{config['scrape_configs'][0]['job_name']}-alerts"
    config["scrape_configs"] += [{"job_name": name, "static_configs": [{"targets": list(alerts)}]}] * bool(alerts)
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(config))

    def command(port: int) -> list[str]:
        return [
            *(binary, f"--config.file={written}", f"--storage.tsdb.path={folder / 'data'}"),
            *(f"--web.listen-address={LOCALHOST}:{port}", "--log.level=warn"),
        ]

    with local_server("Prometheus", command, is_ready, log_file=folder / "prometheus.log") as port:
        yield Prometheus(port)


def is_ready(port: int) -> bool:
    """Whether a server of the Prometheus project answers there."""
    try:
        with urlopen(f"http://{LOCALHOST}:{port}/-/ready", timeout=_TIMEOUT_S):
            return True
    except OSError:
        return False
