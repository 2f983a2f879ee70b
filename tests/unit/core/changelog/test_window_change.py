"""A state that is read with another window: docs/operate.md#change-the-window says what then holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Event
from stream_app.core.state.ledger import Ledger
from tests.unit.core import streams
from tests.unit.core.logs import Log, P

ENDS = st.lists(st.integers(0, 60), max_size=8)


@settings(max_examples=20)
@given(streams.events(), ENDS)
@pytest.mark.parametrize("panes", [streams.PANES - 1, streams.PANES, streams.PANES + 3])
def test_the_totals_have_every_pane_that_both_windows_have(panes: int, stream: list[Event], ends: list[int]) -> None:
    batches = streams.batches_of(stream, ends)
    log = Log()
    store = log.open(1)
    naive = streams.new_naive()
    for batch in batches:
        credits_ = streams.credits_of(batch)
        store.count(batch.topic, batch.position, credits_, store.ledger.late(batch.topic, credits_.ts_ms), 0)
        store.ledger.advance(streams.newest_of(store.ledger))
        naive.apply(batch.topic, batch.events)
        naive.advance(max(source.watermark for source in naive.sources.values()))
    again = LedgerStore(P, Ledger(streams.PANE_MS, panes, streams.SHORT_PANES), log.table(), log.put)
    again.begin(2)
    if batches:
        again.ledger.advance(streams.newest_of(again.ledger))
    first = naive.horizon // streams.PANE_MS - panes + 1
    found = streams.totals_of(again.ledger)
    if panes <= streams.PANES:
        assert found == naive.totals(first)
        return
    for name, whole in naive.totals().items():  # what had left the old window may be there in part
        assert all(now >= before for now, before in zip(found[name], whole, strict=True))
