"""The stage that most tests of the API share: two workers with the whole demo stream counted; answers that count."""

from collections.abc import Iterator

import pytest

from stream_app.serving.api.push import page_updates
from tests.e2e.api.page_answers import Counting
from tests.e2e.api.stage import PARTITIONS, Stage, demo_events
from tests.servers.tracker import tracker, variables


@pytest.fixture(scope="package")
def stage(embedded_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    given = {"partitions": str(PARTITIONS), "tick_s": "200ms", "step_s": "1h", "population_sizes": "all=1000"}
    environment = variables(embedded_brokers, "api", **given)
    with tracker(environment, tmp_path_factory.mktemp("api"), workers=2) as run:
        yield Stage(run, demo_events())


@pytest.fixture(params=[0, 1], ids=["worker-0", "worker-1"])
def where(stage: Stage, request: pytest.FixtureRequest) -> str:
    """The address of each of both workers."""
    number: int = request.param
    return stage.addresses[number]


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Answers that are refreshed so often that no test waits for it."""
    monkeypatch.setattr(page_updates, "REFRESH_S", 0.05)
    monkeypatch.setattr(page_updates, "FEED_S", 0.05)
    monkeypatch.setattr(page_updates, "BUSY_FRACTION", 1.0)
    return Counting()
