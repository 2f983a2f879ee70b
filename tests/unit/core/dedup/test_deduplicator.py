"""The deduplicator beside a dict of hashes by pane, with panes forgotten in between."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.dedup import deduplicator
from stream_app.core.dedup.deduplicator import UNKNOWN, Deduplicator
from stream_app.core.events.identity import Hashing

FEW_HASHES, FEW_PANES = st.integers(0, 30), st.integers(0, 4)
BATCHES = st.lists(st.tuples(FEW_HASHES, FEW_PANES), max_size=40)
STEPS = st.lists(BATCHES | st.sets(FEW_PANES), max_size=12)


@contextmanager
def forgotten_kept(count: int) -> Iterator[None]:
    """As many forgotten events stay in an index before it is made anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deduplicator, "_FORGOTTEN_KEPT", count)
        yield


@pytest.mark.parametrize("kept", [0, 1000])
@given(steps=STEPS)
def test_events_are_new_once_and_again_when_their_pane_is_forgotten(
    kept: int, steps: list[list[tuple[int, int]] | set[int]]
) -> None:
    events, model = Deduplicator(Hashing.EVENT), dict[int, int]()
    with forgotten_kept(kept):
        for step in steps:
            if isinstance(step, set):
                events.forget(step)
                model = {event: pane for event, pane in model.items() if pane not in step}
                continue
            new = [
                event not in model and event not in [seen for seen, _ in step[:at]]
                for at, (event, _) in enumerate(step)
            ]
            model |= {event: pane for (event, pane), is_new in zip(step, new, strict=True) if is_new}
            hashes, panes = np.array([e for e, _ in step], np.uint64), np.array([p for _, p in step], np.int64)
            assert events.first(hashes, panes, {}).tolist() == new
    known = events.panes_of(np.arange(31, dtype=np.uint64)).tolist()
    assert known == [model.get(event, UNKNOWN) for event in range(31)]
    for pane in range(5):
        assert set(events.of_pane(pane).tolist()) == {event for event, own in model.items() if own == pane}


def test_an_index_that_is_half_forgotten_is_made_anew() -> None:
    events = Deduplicator(Hashing.EVENT)
    events.first(np.arange(100_000, dtype=np.uint64), np.repeat(np.arange(4), 25_000), {})
    full = events.nbytes

    events.forget({0, 1})
    assert events.nbytes == full, "two panes of four are left"
    events.forget({2})
    assert events.nbytes < full / 2
    assert len(events.of_pane(3)) == 25_000
