"""What the dashboards and the rules ask of Prometheus, and which metrics there are to be asked for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric

from stream_app.alerts.metrics import AlertMetrics
from stream_app.serving.metrics import Metrics
from stream_app.settings import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = tuple(sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")))

_METRIC = re.compile(r"\b(?:[a-z_]+:)?influence_\w+(?::\w+)?|\bprocess_\w+|\bup\b|\bALERTS\b")
_MATCHERS_OR_COMPARISON = re.compile(r"(\{[^}]*\})|(==|!=|>=|<=|>|<)")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")

CHOSEN = {
    "job": "stream-app",
    "__rate_interval": "10s",
    "__interval": "10s",
    "instance": ".*",
    "population": ".*",
    "role": "(connector|maven)",
    "topic": ".*",
}
"""What Grafana puts in the place of variables, on a Prometheus that scrapes every second."""


class Asked(NamedTuple):
    """An expression, and where it stands."""

    where: str
    expr: str

    @property
    def metrics(self) -> set[str]:
        """The names of all series in it."""
        return set(_METRIC.findall(_MATCHERS_OR_COMPARISON.sub(r"\2", self.expr)))

    def filled_in(self, **chosen: str) -> str:
        """With values in the place of variables."""
        values = CHOSEN | chosen
        return _VARIABLE.sub(lambda variable: values[variable[1]], self.expr)

    def without_thresholds(self) -> str:
        """Comparisons say 0 or 1 in place of leaving series out, so that it has values whether it holds or not."""

        def said(found: re.Match[str]) -> str:
            return found[1] or f"{found[2]} bool"

        return _MATCHERS_OR_COMPARISON.sub(said, self.expr)


class Choice(NamedTuple):
    """A variable of a dashboard: the label whose values can be chosen, and the series that have it."""

    where: str
    series: Asked
    label: str


def rules(kind: str) -> Iterator[dict[str, Any]]:
    """The rules of a kind: alert or record."""
    for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


def asked_by_rules(kind: str) -> list[Asked]:
    """The expressions of the rules of a kind."""
    return [Asked(rule[kind], rule["expr"]) for rule in rules(kind)]


def dashboard(path: Path) -> dict[str, Any]:
    """A dashboard as it is in the repository."""
    board: dict[str, Any] = json.loads(path.read_text())
    return board


def asked_by(board: dict[str, Any]) -> Iterator[Asked]:
    """The queries of all panels and annotations."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(f"{board['title']}: {panel['title']} ({target['refId']})", target["expr"])
    for annotation in board.get("annotations", {}).get("list", ()):
        yield Asked(f"{board['title']}: annotation {annotation['name']}", annotation["expr"])


def choices(board: dict[str, Any]) -> Iterator[Choice]:
    """The variables whose values are those of a label."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert found, variable
            where = f"{board['title']}: variable {variable['name']}"
            yield Choice(where, Asked(where, found[1]), found[2])


def everything_asked() -> list[Asked]:
    """All of it."""
    boards = [dashboard(path) for path in DASHBOARDS]
    panels = [asked for board in boards for asked in asked_by(board)]
    return [*panels, *asked_by_rules("alert"), *asked_by_rules("record")]


def families() -> list[Metric]:
    """The metrics of a worker."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Metrics(registry, Settings().input_topics, ("*",))
    return list(registry.collect())


def alert_families() -> list[Metric]:
    """The metrics of the process that delivers, but for those that every process has."""
    registry = CollectorRegistry()
    AlertMetrics(registry, ["sink"])
    return list(registry.collect())


def series_of(family: Metric) -> set[str]:
    """The names under which Prometheus has a metric."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
