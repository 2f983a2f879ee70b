"""A failure in an engine ends its worker with the exit status that names the reason."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest
from aiokafka.errors import KafkaTimeoutError

from stream_app.engine.build import engine_parts
from stream_app.engine.engine import Engine
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.settings import Settings

Part = Callable[[Engine], Coroutine[Any, Any, None]]


class Ended(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture(autouse=True)
def ended() -> Iterator[list[Exit]]:
    """The exit statuses the engine wanted to end with."""
    statuses: list[Exit] = []

    def end(status: Exit, _why: str) -> None:
        statuses.append(status)
        raise Ended

    with patch("stream_app.engine.engine.end", end):
        yield statuses


def broken() -> Engine:
    """An engine whose parts fail."""
    failing = AsyncMock(side_effect=RuntimeError("broken on purpose"))
    parts = engine_parts(Settings(), Mock())
    return Engine(
        parts._replace(
            waiting=Mock(take=failing, held={}),
            ownership=Mock(pause=failing, positions=dict),
            synchronization=Mock(note_ends=Mock(side_effect=RuntimeError)),
            exchange=Mock(run=failing),
        )
    )


async def _observed(engine: Engine) -> None:
    engine.health.recovered = True
    await engine._observe()


@pytest.mark.parametrize(
    "part",
    [
        lambda engine: engine.take(Mock()),
        lambda engine: engine.on_revoked(),
        lambda engine: engine._exchange(),
        _observed,
    ],
    ids=["count", "revoke", "exchange", "observe"],
)
async def test_a_failing_part_ends_the_worker_as_broken(part: Part, ended: list[Exit]) -> None:
    with pytest.raises(Ended):
        await part(broken())
    assert ended == [Exit.BROKEN]


@pytest.mark.parametrize(
    "part", [lambda engine: engine.take(Mock()), lambda engine: engine.on_revoked()], ids=["count", "revoke"]
)
async def test_a_write_that_kafka_does_not_take_is_a_lost_write_in_every_part(part: Part, ended: list[Exit]) -> None:
    parts = engine_parts(Settings(), Mock())
    parts.producer.put("influence.flags", 0, b"key", b"value")

    async def flush(*_args: object) -> None:
        await parts.producer.flush()

    engine = Engine(parts._replace(waiting=Mock(take=flush), ownership=Mock(pause=flush)))
    refusing = Mock(start=AsyncMock(side_effect=KafkaTimeoutError), stop=AsyncMock())
    with patch("stream_app.engine.producer.new_async_producer", return_value=refusing), pytest.raises(Ended):
        await part(engine)
    assert ended == [Exit.LOST_WRITE]
