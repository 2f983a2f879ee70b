"""Cuts on the topic of the exchange that somebody else has overwritten: their owner writes them again."""

import msgspec
import pytest

from stream_app.core.exchange import cut_record
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.state.scopes import ScopeName
from stream_app.engine.rounds import cut_publisher
from tests.unit.engine.fakes import PARTITION, posts
from tests.unit.engine.parts import Parts
from tests.unit.engine.rounds.test_cut_history import CURVES, SCOPE

INVENTED = next(
    scope for scope in (ScopeName("invented", f"t{n}") for n in range(100)) if home_of(scope, 8) == PARTITION
)


def values(parts: Parts, scope: ScopeName) -> list[bytes | None]:
    """The records of a scope that were written."""
    return [record.value for record in parts.fake.producer.of(CURVES) if record.key == cut_record.key_of(scope)]


@pytest.mark.parametrize("what", ["stale", "deleted", "invented"])
async def test_a_cut_that_somebody_else_has_written_is_written_again(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(cut_publisher, "monotonic", lambda: now_s)
    parts = Parts()
    await parts.count(posts(range(3), topics=[SCOPE.topic]))
    for _ in range(3):
        await parts.round()
    mine = values(parts, SCOPE)[-1]
    assert mine
    stale = cut_record.encode(msgspec.structs.replace(cut_record.decode(mine), thresholds=(99, 99)))
    scope, right = (INVENTED, None) if what == "invented" else (SCOPE, mine)
    parts.exchange.update(cut_record.key_of(scope), b"" if what == "deleted" else stale)
    await parts.round()
    before = len(values(parts, scope))
    now_s += 11.0
    for _ in range(3):
        await parts.round()
    assert values(parts, scope)[before:] == [right]
    now_s += 11.0
    await parts.round()
    assert len(values(parts, scope)) == before + 1
