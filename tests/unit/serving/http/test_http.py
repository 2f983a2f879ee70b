"""The HTTP endpoints of a worker, over a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import AddressUnavailableError, HttpServer
from stream_app.serving.metrics import Metrics
from stream_app.settings import Settings

LOCALHOST = "127.0.0.1"
ACCESS = Access(Settings())


class Engine:
    """A health that says what the test wants."""

    def __init__(self) -> None:
        self.alive: tuple[bool, dict[str, Any]] = (True, {})
        self.prepared: tuple[bool, dict[str, Any]] = (False, {"reason": "no partitions assigned"})

    def live(self) -> tuple[bool, dict[str, Any]]:
        return self.alive

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.prepared


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[aiohttp.ClientSession]:
    registry = CollectorRegistry()
    Metrics(registry, (), ()).rebalance()
    server = HttpServer(registry, engine, ACCESS)
    port = await server.start(LOCALHOST, 0)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(f"http://{LOCALHOST}:{port}", timeout=timeout) as session:
        yield session
    await server.stop()


async def test_metrics_are_served_in_prometheus_format(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "influence_rebalances_total 1.0" in await response.text()


async def test_livez_fails_with_the_reason_when_counting_stands_still(
    client: aiohttp.ClientSession, engine: Engine
) -> None:
    async with client.get("/livez") as response:
        assert (response.status, await response.json()) == (200, {"live": True})
    engine.alive = (False, {"reason": "partition 3 of influence.posts stands at 17", "lag_records": 4})
    async with client.get("/livez") as response:
        assert response.status == 503
        assert await response.json() == {
            "live": False,
            "reason": "partition 3 of influence.posts stands at 17",
            "lag_records": 4,
        }


async def test_readyz_fails_until_recovered_and_assigned(client: aiohttp.ClientSession, engine: Engine) -> None:
    async with client.get("/readyz") as response:
        assert (response.status, await response.json()) == (503, {"ready": False, "reason": "no partitions assigned"})
    engine.prepared = (True, {"partitions": 8})
    async with client.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ready": True, "partitions": 8})


async def test_a_port_in_use_is_reported_with_the_setting_to_change(
    client: aiohttp.ClientSession, engine: Engine
) -> None:
    taken = int(str(client._base_url).rstrip("/").rpartition(":")[2])
    with pytest.raises(AddressUnavailableError, match=rf"{taken}.*STREAM_APP_HTTP_PORT"):
        await HttpServer(CollectorRegistry(), engine, ACCESS).start(LOCALHOST, taken)


async def test_an_address_of_another_machine_is_reported_with_the_setting_to_change(engine: Engine) -> None:
    with pytest.raises(AddressUnavailableError, match="STREAM_APP_HTTP_HOST"):
        await HttpServer(CollectorRegistry(), engine, ACCESS).start("192.0.2.1", 0)


async def test_the_port_is_free_again_after_stop(engine: Engine) -> None:
    first = HttpServer(CollectorRegistry(), engine, ACCESS)
    port = await first.start(LOCALHOST, 0)
    await first.stop()
    second = HttpServer(CollectorRegistry(), engine, ACCESS)
    assert await second.start(LOCALHOST, port) == port
    await second.stop()
