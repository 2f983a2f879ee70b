"""The manifests for Kubernetes, as they stand in their files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.unit.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
BASE, KEDA, ALERTS = FOLDER / "base", FOLDER / "keda", FOLDER / "alerts"
SETTINGS = BASE / "settings.env"
Manifest = dict[str, Any]


def documents(*paths: Path) -> list[Manifest]:
    """Every object in these files."""
    return [each for path in paths for each in yaml.safe_load_all(path.read_text()) if each]


def kustomization(folder: Path) -> Manifest:
    """What is applied together."""
    (found,) = documents(folder / "kustomization.yaml")
    return found


def base() -> list[Manifest]:
    """Every object of plain Kubernetes that is applied, but the ConfigMap."""
    return documents(*(BASE / name for name in kustomization(BASE)["resources"]))


def alerts() -> list[Manifest]:
    """What comes on top of it for alerts."""
    return documents(ALERTS / "deployment.yaml", ALERTS / "network.yaml")


def one(kind: str, name: str = "worker") -> Manifest:
    """The object of that kind and name, wherever it is."""
    (found,) = [each for each in _all() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def _all() -> list[Manifest]:
    return [*base(), *alerts(), *documents(KEDA / "scaler.yaml", FOLDER / "podmonitor.yaml")]


def pods() -> Iterator[tuple[str, Manifest]]:
    """What each workload makes pods of, by the name of the workload."""
    for each in (*base(), *alerts()):
        if "template" in each.get("spec", {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def settings() -> dict[str, str]:
    """What is in the ConfigMap."""
    lines = [line for line in SETTINGS.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
