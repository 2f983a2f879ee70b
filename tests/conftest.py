"""Servers that the whole test session shares: Kafka (embedded, or Apache's) and Redis, each started when asked for."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from tests.marks import MARKS, mark_of
from tests.servers.apache import ApacheKafkaMissing, apache_kafka, libraries
from tests.servers.brokers import EMBEDDED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to keep what tests have seen."""
    parser.addoption("--screenshots", metavar="DIR", help="keep the pictures of the page there (tests/e2e/page)")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks, and let Ctrl-C reach the processes that tests start.

    A background job ignores it, and they would inherit that.
    """
    # How long an example takes is no property: on a busy machine any may be slow.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by what it uses, see tests/marks.py."""
    for item in items:
        assert isinstance(item, pytest.Function)
        mark = mark_of(item)
        if mark != "unit" or item.get_closest_marker("slow") is None:
            item.add_marker(mark)


@pytest.fixture
def brokers(request: pytest.FixtureRequest) -> str:
    """Bootstrap address of a Kafka; tests keep apart by the names of their topics.

    The embedded one, or the one asked for by `@BOTH_BROKERS` (see tests/servers).
    """
    address: str = request.getfixturevalue(f"{getattr(request, 'param', EMBEDDED)}_brokers")
    return address


@pytest.fixture(scope="session")
def embedded_brokers() -> Iterator[str]:
    """Bootstrap address of the embedded Kafka."""
    with embedded_broker() as address:
        yield address


@pytest.fixture(scope="session")
def apache_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of Apache Kafka, one node; skips where Java or Maven is missing."""
    try:
        libraries()
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))
    with apache_kafka(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster.brokers


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of the embedded Redis; tests keep apart by the prefix of their keys."""
    with embedded_redis() as url:
        yield url
