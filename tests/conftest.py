"""Servers that the whole test session shares: the embedded Kafka and Redis, each started when first asked for."""

from collections.abc import Iterator

import pytest

from stream_app.local.broker import embedded_broker
from stream_app.local.valkey import embedded_redis


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
