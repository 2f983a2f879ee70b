"""Short sums: whatever is added, leaves, is cleared and renumbered, they are those of the slots of the short window."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.state.panes import RowEntries
from stream_app.core.state.short_sums import ShortSums

_ROWS = 12
_SLOTS = 4


class World:
    """Short sums beside what was made, by slot and row."""

    def __init__(self) -> None:
        self.sums = ShortSums()
        self.made: dict[tuple[int, int], list[int]] = {}
        self.first = 0
        self.sums.advance(self.first)

    @property
    def last(self) -> int:
        return self.first + _SLOTS - 1

    def add(self, slot: int, counts: dict[int, tuple[int, int]]) -> None:
        rows = np.array(sorted(counts), np.int64)
        both = np.array([counts[row] for row in rows.tolist()], np.int64).reshape(-1, 2)
        self.sums.add(slot, RowEntries(rows, both[:, 0], both[:, 1], np.zeros(len(rows))))
        for row, (posts, impressions) in counts.items() if slot >= self.first else ():
            before = self.made.get((slot, row), [0, 0])
            self.made[slot, row] = [before[0] + posts, before[1] + impressions]

    def advance(self, slots: int) -> None:
        self.first += slots
        self.sums.advance(self.first)

    def clear(self, marked: set[int]) -> None:
        self.sums.clear(np.isin(np.arange(_ROWS), list(marked)))
        self.made = {place: made for place, made in self.made.items() if place[1] not in marked}

    def renumber(self, marked: set[int]) -> None:
        """Rows that are kept move up."""
        kept = ~np.isin(np.arange(_ROWS), list(marked))
        new = np.cumsum(kept) - 1
        self.clear(marked)
        self.sums.renumber(new, kept)
        self.made = {(slot, int(new[row])): made for (slot, row), made in self.made.items()}

    def expected(self) -> tuple[list[list[float]], ...]:
        """Sums, sums of squares, and sums of the two newest slots; by role and row."""
        found = np.zeros((3, 2, _ROWS))
        for (slot, row), made in self.made.items():
            for role in (0, 1) if slot >= self.first else ():
                newest = made[role] if slot >= self.last - 1 else 0
                found[:, role, row] += (made[role], made[role] ** 2, newest)
        return tuple(found.tolist())


counted = st.tuples(st.integers(0, 2), st.integers(0, 9)).filter(any)
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, _SLOTS), st.dictionaries(st.integers(0, _ROWS - 1), counted)),
    st.tuples(st.just("advance"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["clear", "renumber"]), st.sets(st.integers(0, _ROWS - 1), max_size=4)),
)


@settings(max_examples=300)
@given(st.lists(steps, max_size=30))
def test_the_sums_are_those_of_the_slots_in_the_short_window(taken: list[tuple[str, object]]) -> None:
    world = World()
    for step, *given_ in taken:
        if step == "add":
            given_[0] = max(world.first - 1, 0) + given_[0]  # type: ignore[operator]  # late ones too
        getattr(world, step)(*given_)
        assert tuple(part.tolist() for part in world.sums.of(np.arange(_ROWS), world.last)) == world.expected()


def test_what_was_made_in_a_slot_is_found_again() -> None:
    world = World()
    world.add(1, {3: (1, 10), 5: (2, 0)})
    world.add(1, {3: (1, 5)})
    ((slot, entries),) = world.sums.entries_of(range(3))
    assert (slot, entries.rows.tolist(), entries.posts.tolist()) == (1, [3, 5], [2, 2])
    assert entries.impressions.tolist() == [15, 0]


def test_rows_take_no_room_once_they_have_left_the_short_window() -> None:
    world = World()
    for slot in range(100):
        world.add(slot, {slot * 1000 + row: (1, 10) for row in range(1000)})
        world.advance(1)
    assert world.sums.nbytes == 0
    assert not world.sums.of(np.arange(100_000), 103).sums.any()
