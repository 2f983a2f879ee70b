"""The dashboards: as the script generates them, with units and descriptions, on metrics that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import made
from tests.unit.monitoring.asked import (
    DASHBOARDS,
    DEPLOY,
    alert_families,
    asked_by,
    choices,
    dashboard,
    everything_asked,
    families,
    series_of,
)

NOT_SHOWN = {
    "process_virtual_memory_bytes": "what is reserved, not what is taken: resident memory is shown",
    "process_open_fds": "a worker has as many connections as brokers and browsers, far from any limit",
    "process_max_fds": "the same",
}
"""Metrics of a worker that neither a panel nor a rule shows, and why."""

OTHERS = {"up", "ALERTS"}
"""Made by Prometheus itself."""

KNOWN_UNITS = {value for name, value in vars(units).items() if not name.startswith("_")}

BOARDS = [dashboard(path) for path in DASHBOARDS]
PANELS = [panel for board in BOARDS for panel in board["panels"] if panel["type"] not in {"row", "text"}]


def _covered(panel: dict[str, Any]) -> set[tuple[int, int]]:
    """The places of the grid that a panel is on."""
    place = panel["gridPos"]
    return {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}


def _units(panel: dict[str, Any]) -> list[str]:
    """All units that a panel shows values in."""
    config = panel["fieldConfig"]
    of_series = [one for given in config["overrides"] for one in given["properties"] if one["id"] == "unit"]
    own = (config["defaults"].get("unit"), panel["options"].get("yAxis", {}).get("unit"))
    return [unit for unit in (*own, *(one["value"] for one in of_series)) if unit]


def test_the_dashboards_are_those_that_the_script_makes() -> None:
    written = {path: path.read_text() for path in DASHBOARDS}
    assert written == dict(made()), "run `python -m deploy.grafana`"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_holds_nothing_that_grafana_does_not_know(path: Path) -> None:
    """Read into the SDK's types and written again it is the same."""
    board = dashboard(path)
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    for item in (*again["links"], *again.get("annotations", {}).get("list", ())):
        del item["placement"]
    assert again == board


def test_a_panel_says_what_it_shows_in_which_unit_and_under_which_names(subtests: pytest.Subtests) -> None:
    for panel in PANELS:
        with subtests.test(panel=panel):
            assert len(panel["description"]) > 20
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            if panel["type"] == "state-timeline":
                assert panel["fieldConfig"]["defaults"]["mappings"]
            else:
                assert len(_units(panel)) >= (len(panel["targets"]) if panel["type"] == "table" else 1)
                assert all(unit in KNOWN_UNITS or unit.startswith("suffix:") for unit in _units(panel))
            if panel["type"] == "timeseries":
                assert panel["options"]["legend"]["showLegend"]
                assert all(target["legendFormat"] != "__auto" for target in panel["targets"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board["title"]))
def test_panels_lie_beside_each_other(board: dict[str, Any]) -> None:
    for one, other in combinations(board["panels"], 2):
        assert not _covered(one) & _covered(other), (one["title"], other["title"])
        assert one["id"] != other["id"]
        assert one["title"] != other["title"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: str(board["title"]))
def test_every_variable_of_a_dashboard_is_used_in_its_queries(board: dict[str, Any]) -> None:
    text = " ".join(asked.expr for asked in [*asked_by(board), *(choice.series for choice in choices(board))])
    variables = {variable["name"] for variable in board["templating"]["list"]} - {"datasource"}
    used = set(re.findall(r"\$(\w+)", text))
    assert {name for name in used if not name.startswith("__")} == variables


def test_a_metric_on_a_dashboard_or_in_a_rule_is_one_of_ours() -> None:
    there = {name for family in (*families(), *alert_families()) for name in series_of(family)} | OTHERS
    for asked in everything_asked():
        assert asked.metrics, asked
        assert {name for name in asked.metrics if ":" not in name} <= there, asked


def test_a_metric_of_ours_is_on_a_dashboard_or_in_a_rule() -> None:
    asked = {name for one in everything_asked() for name in one.metrics}
    hidden = {family.name for family in (*families(), *alert_families()) if not series_of(family) & asked}
    assert hidden == {*NOT_SHOWN}


def test_grafana_finds_the_dashboards_and_looks_as_often_as_prometheus() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "stream-app.yaml").read_text())["providers"]
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == scrape
    assert provider["type"] == "file"
