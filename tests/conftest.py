"""Servers that the whole test session shares: the embedded Kafka and Redis, each started when first asked for."""

import signal
from collections.abc import Iterator

import pytest

from stream_app.local.broker import embedded_broker
from stream_app.local.valkey import embedded_redis


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start: a background job ignores it, and they would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def brokers() -> Iterator[str]:
    """Bootstrap address of the embedded Kafka; tests keep apart by the names of their topics."""
    with embedded_broker() as address:
        yield address


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of the embedded Redis; tests keep apart by the prefix of their keys."""
    with embedded_redis() as url:
        yield url
