"""A real Prometheus scrapes a real worker under load: every metric that dashboards and rules use exists."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.demo.feed import Feed, Part, Stream
from stream_app.demo.generator.activity import HOUR_MS
from stream_app.demo.generator.population import FEWEST_USERS, PRODUCTS, demo_population
from tests.servers.prometheus import Prometheus, prometheus, require
from tests.servers.tracker import Tracker, tracker, variables
from tests.unit.alerts.parts import AlertInstances, a_hook, to_hook
from tests.unit.monitoring.asked import DASHBOARDS, Asked, asked_by, asked_by_rules, choices, dashboard, families
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(240)

START_S = 60.0
NOT_YET = {"Influence: K and R (B)"}
"""R of a day is known once the horizon of all who came is over: not in so short a load."""
PATIENCE_S = 90.0
LIVE_MS = 12 * HOUR_MS
SPEED = 1800.0
"""The last half day of the demo stream takes 24 s: for as long as that records and flags come."""
WINDOW = "6h"
"""So that there are flags after the first window whose outcome is known before the stream ends."""
TWO_TOPICS = r"(\\*|phone)"
"""What Grafana asks for where somebody has chosen * and phone."""

BOARDS = [dashboard(path) for path in DASHBOARDS]
PANELS = [asked for board in BOARDS for asked in asked_by(board)]
CHOICES = [choice for board in BOARDS for choice in choices(board)]
ALERTS = asked_by_rules("alert")
RECORDS = [Asked(asked.where, asked.where) for asked in asked_by_rules("record")]


class Scene(NamedTuple):
    """What was seen while a worker was under load."""

    metrics: str
    silent: dict[str, str]
    """What never gave a finite value, by where it stands."""
    firing: list[str]
    faults: list[str]
    """Rules that Prometheus could not evaluate."""
    mismatches: list[float]
    """Records that were not accounted for, at the worst moments."""


@pytest.fixture(scope="module")
def scene(embedded_brokers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    require("prometheus")
    folder = tmp_path_factory.mktemp("duty")
    topics = ",".join(("*", *(product.name for product in PRODUCTS)))
    settings = {"redis_url": redis_url, "redis_prefix": "duty", "metric_topics": topics, "window_s": WINDOW}
    environment = variables(embedded_brokers, "duty", **settings)
    with tracker(environment, folder, workers=1) as run, a_hook() as hook:
        address = _address(run)
        alerted = AlertInstances(embedded_brokers, "duty", folder, to_hook(hook), partitions="8")
        with closing(alerted), prometheus([address], folder, [_alerts_address(alerted)]) as server:
            feed = Feed(_stream, run.settings, None)
            feed.start()
            try:
                yield _watch(server, feed, address)
            finally:
                feed.stop(PATIENCE_S)


def _alerts_address(alerted: AlertInstances) -> str:
    """Where the process that delivers shows its metrics, once it delivers."""
    alerted.until_active(alerted.start())
    return alerted.address(0)


def _stream() -> Stream:
    demo = demo_population(users=FEWEST_USERS)
    live = next(place for place, event in enumerate(demo.events) if event.ts_ms >= demo.window_end_ms - LIVE_MS)
    return Stream([Part(demo.events[:live], None), Part(demo.events[live:], SPEED)], len(demo.events))


def _address(run: Tracker) -> str:
    (worker,) = run.workers
    assert eventually(lambda: worker.has_said("/readyz on http://"), START_S), worker.said()
    address = worker.said_of_itself("/readyz on http://")
    assert address
    return address


def _watch(server: Prometheus, feed: Feed, address: str) -> Scene:
    """Ask everything again and again until all of it has been answered while the load lasts."""
    open_: dict[str, partial[list[Any]]] = {where: partial(server.values, expr) for where, expr in _expressions()}
    open_ |= {choice.where: partial(server.label_values, choice.label, choice.series.filled_in()) for choice in CHOICES}

    def is_all_answered() -> bool:
        assert feed.error is None, feed.error
        for where in [where for where, ask in open_.items() if ask()]:
            del open_[where]
        return not open_

    eventually(is_all_answered, PATIENCE_S)
    assert eventually(lambda: feed.is_done, PATIENCE_S), feed.error
    with urlopen(f"http://{address}/metrics") as response:
        metrics = response.read().decode()
    known = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    unaccounted = "worker_topic:influence_unaccounted_records:diff"
    return Scene(
        metrics,
        {where: str(ask.args) for where, ask in open_.items()},
        [rule["name"] for rule in known if rule.get("state") == "firing"],
        [f"{rule['name']}: {rule['lastError']}" for rule in known if rule["health"] != "ok"],
        server.values(f"max_over_time({unaccounted}[5m])") + server.values(f"min_over_time({unaccounted}[5m])"),
    )


def _expressions() -> Iterator[tuple[str, str]]:
    for asked in PANELS:
        chosen = {"topic": TWO_TOPICS} if asked.where.startswith("Influence") else {}
        yield asked.where, asked.filled_in(**chosen)
    for asked in ALERTS:
        yield asked.where, asked.without_thresholds()
    for asked in RECORDS:
        yield asked.where, asked.expr


def test_a_panel_has_data(scene: Scene, subtests: pytest.Subtests) -> None:
    for where in [asked.where for asked in PANELS if asked.where not in NOT_YET]:
        with subtests.test(where=where):
            assert where not in scene.silent, scene.silent[where]


def test_every_choice_of_a_dashboard_has_values(scene: Scene, subtests: pytest.Subtests) -> None:
    for where in [choice.where for choice in CHOICES]:
        with subtests.test(where=where):
            assert where not in scene.silent, scene.silent[where]


def test_a_rule_has_data_to_judge_by(scene: Scene, subtests: pytest.Subtests) -> None:
    for where in [asked.where for asked in (*ALERTS, *RECORDS)]:
        with subtests.test(where=where):
            assert where not in scene.silent, scene.silent[where]


def test_prometheus_can_evaluate_every_rule(scene: Scene) -> None:
    assert scene.faults == []


def test_no_alert_fires_on_a_healthy_worker(scene: Scene) -> None:
    assert scene.firing == []


def test_at_every_scrape_records_read_are_accounted_for(scene: Scene) -> None:
    assert {*scene.mismatches} == {0.0}
    assert len(scene.mismatches) == 8, "posts, shares, retractions and credits, at most and at least"


def test_a_worker_serves_the_metrics_that_are_known_of_and_no_others(scene: Scene) -> None:
    served = {family.name for family in text_string_to_metric_families(scene.metrics) if family.type != "unknown"}
    known = {family.name for family in families()}
    assert {name for name in served if not name.endswith("_created")} == known
