"""What Prometheus, Alertmanager and Grafana are given in compose.yaml: they accept it, and it agrees with deploy/."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_app.settings import Settings
from tests.unit.deploy.compose import services
from tests.unit.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "compose"


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def mounts(name: str) -> dict[str, Path]:
    """The files and folders of ours that a service sees, by where it sees them."""
    return {each["target"]: Path(each["source"]) for each in services()[name]["volumes"] if each["type"] == "bind"}


@pytest.mark.parametrize(
    ("package", "program", "name"),
    [("prometheus", "promtool", "prometheus.yml"), ("prometheus-alertmanager", "amtool", "alertmanager.yml")],
)
def test_a_server_takes_its_configuration(package: str, program: str, name: str, tmp_path: Path) -> None:
    tool = shutil.which(program)
    if tool is None:
        pytest.skip(f"needs system package: {package}")
    words = [tool, "check", "config"] if program == "promtool" else [tool, "check-config"]
    token, mine = tmp_path / "http-token", tmp_path / name
    token.write_text("t")
    mine.write_text((FOLDER / name).read_text().replace("/run/secrets/http-token", str(token)))
    done = subprocess.run([*words, mine], capture_output=True, text=True, timeout=30, check=False)
    assert not done.returncode, done.stdout + done.stderr


def test_every_file_of_the_folder_is_seen_by_a_service() -> None:
    seen = {path for name in ("prometheus", "alertmanager", "grafana", "alerts") for path in mounts(name).values()}
    assert {*FOLDER.iterdir()} - {FOLDER / "http-token"} == {path for path in seen if path.is_relative_to(FOLDER)}


def test_prometheus_scrapes_all_workers_and_sends_to_alertmanager() -> None:
    found = loaded(FOLDER / "prometheus.yml")
    job, alerts = found["scrape_configs"]
    workers = [name for name in services() if name.startswith("worker")]
    assert job["static_configs"] == [{"targets": [f"{name}:{Settings().http_port}" for name in workers]}]
    assert alerts["job_name"] == f"{job['job_name']}-alerts"
    assert alerts["static_configs"] == [{"targets": [f"alerts:{Settings().alerts_http_port}"]}]
    (alertmanager,) = found["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert job["authorization"] == {"credentials_file": "/run/secrets/http-token"}
    assert [secret["source"] for secret in services()["prometheus"]["secrets"]] == ["http-token"]
    assert "/etc/prometheus/rules" in mounts("prometheus")


def test_grafana_asks_prometheus() -> None:
    (source,) = loaded(FOLDER / "datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == loaded(FOLDER / "prometheus.yml")["global"]["scrape_interval"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_all_that_is_mounted_exists(name: str) -> None:
    missing = [path for path in mounts(name).values() if not path.exists()]
    assert not missing


def test_prometheus_and_grafana_are_set_up_as_outside_of_compose_but_for_addresses() -> None:
    ours, theirs = loaded(FOLDER / "prometheus.yml"), loaded(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    assert (ours["global"], ours["rule_files"]) == (theirs["global"], theirs["rule_files"])
    assert ours["scrape_configs"][0]["job_name"] == theirs["scrape_configs"][0]["job_name"]
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = loaded(FOLDER / "datasource.yaml")["datasources"]
    (other,) = loaded(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    assert {**source, "url": ""} == {**other, "url": ""}
    (provider,) = loaded(provisioning / "dashboards" / "stream-app.yaml")["providers"]
    assert provider["options"]["path"] in mounts("grafana")
