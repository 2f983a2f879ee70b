"""Short sums: whatever is added, expires, is cleared and renumbered, they are those of the short window's panes."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.state.panes import Pane, RowEntries
from stream_app.core.state.short_sums import ShortSums

_ROWS = 12

Counts = dict[tuple[int, int], tuple[int, int]]
"""Posts and impressions by pane and row."""


class World:
    """Short sums beside the panes that they are the sums of."""

    def __init__(self) -> None:
        self.sums = ShortSums()
        self.panes: dict[int, Pane] = {}
        self.first = 0
        self.sums.advance(self.first, self.panes)

    def add(self, pane: int, counts: dict[int, tuple[int, int]]) -> None:
        rows, both = np.array(list(counts), np.int64), np.array(list(counts.values()), np.int64).reshape(-1, 2)
        entries = RowEntries(rows, both[:, 0], both[:, 1], (both[:, 1] * 0.1).astype(np.float64))
        self.panes.setdefault(pane, Pane()).chunks.append(entries.slim())
        self.sums.add(pane, entries)

    def advance(self, panes: int) -> None:
        self.first += panes
        self.sums.advance(self.first, self.panes)

    def clear(self, marked: set[int]) -> None:
        rows = np.isin(np.arange(_ROWS), list(marked))
        for pane in self.panes.values():
            pane.take_out((), rows)
        self.sums.clear(rows)

    def renumber(self, marked: set[int]) -> None:
        """Rows that are kept move up; the others, cleared before, come after them."""
        self.clear(marked)
        kept = ~np.isin(np.arange(_ROWS), list(marked))
        self.sums.renumber(kept)
        new = np.cumsum(kept) - 1
        for pane in self.panes.values():
            pane.chunks = [chunk._replace(rows=new[chunk.rows]) for chunk in pane.chunks]

    def expected(self) -> tuple[list[int], list[float]]:
        posts, impressions = Counter[int](), Counter[int]()
        for number, pane in self.panes.items():
            for chunk in pane.chunks if number >= self.first else ():
                posts.update(dict(zip(chunk.rows.tolist(), chunk.posts.tolist(), strict=True)))
                impressions.update(dict(zip(chunk.rows.tolist(), chunk.impressions.tolist(), strict=True)))
        return [posts[row] for row in range(_ROWS)], [float(impressions[row]) for row in range(_ROWS)]


counted = st.tuples(st.integers(0, 2), st.integers(0, 9)).filter(any)
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 5), st.dictionaries(st.integers(0, _ROWS - 1), counted)),
    st.tuples(st.just("advance"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["clear", "renumber"]), st.sets(st.integers(0, _ROWS - 1), max_size=4)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=30))
def test_the_sums_are_those_of_the_panes_in_the_short_window(taken: list[tuple[str, object]]) -> None:
    world = World()
    for step, *given_ in taken:
        if step == "add":
            given_[0] = max(world.first - 1, 0) + given_[0]  # type: ignore[operator]  # late ones too
        getattr(world, step)(*given_)
        posts, impressions, squares = world.sums.of(np.arange(_ROWS))
        assert (posts.tolist(), impressions.tolist()) == world.expected()
        np.testing.assert_allclose(squares, impressions * 0.1, atol=1e-9)


def test_only_rows_with_something_take_room_for_sums() -> None:
    world = World()
    for pane in range(100):
        world.add(pane, {pane * 1000 + row: (1, 10) for row in range(1000)})
        world.advance(1)
    assert world.sums.nbytes < 5 * 100_000 * 9 / 8
    assert not world.sums.of(np.arange(100_000))[0].any()
