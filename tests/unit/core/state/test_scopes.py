"""Which scopes an event counts in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.events.names import normal_topic
from stream_app.core.state import scopes as scopes_module
from stream_app.core.state.scopes import ScopeName, ScopeTable

SPELLINGS = st.sampled_from(
    ["a", "#A ", " a", "b", "B", "*", " * ", "", "  ", "é", "E\u0301", "c d", "(other)", "#(Other)"]
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["all", "employee", "*"]), st.lists(SPELLINGS, max_size=5).map(tuple)), max_size=20
)
Events = list[tuple[str, tuple[str, ...]]]


def _expected(events: Events) -> set[tuple[int, ScopeName]]:
    counted = {(place, ScopeName(population, "*")) for place, (population, _) in enumerate(events)}
    for place, (population, topics) in enumerate(events):
        names = {normal_topic(topic) for topic in topics} - {"", "(other)"}
        counted |= {(place, ScopeName(population, name)) for name in names}
    return counted


def _of_events(scopes: ScopeTable, events: Events) -> list[tuple[int, ScopeName]]:
    found = scopes.of_events([population for population, _ in events], [topics for _, topics in events], 100)
    places, numbers = found.events, scopes.add_codes(found.codes)
    names = scopes.names()
    return [(place, names[number]) for place, number in zip(places.tolist(), numbers.tolist(), strict=True)]


@settings(max_examples=50)
@given(st.lists(EVENTS, max_size=4))
def test_every_event_counts_once_in_all_and_in_each_of_its_topics(batches: list[Events]) -> None:
    scopes = ScopeTable()
    for events in batches:
        found = _of_events(scopes, events)
        assert len(found) == len(set(found))
        assert set(found) == _expected(events)
    names = scopes.names()
    assert len(names) == len(set(names)) == len(scopes)


@settings(max_examples=60)
@given(EVENTS, EVENTS, st.data())
def test_renumbered_scopes_keep_their_names_and_go_on(events: Events, more: Events, data: st.DataObject) -> None:
    scopes = ScopeTable()
    _of_events(scopes, events)
    chosen = data.draw(st.sets(st.sampled_from(range(len(scopes)))) if len(scopes) else st.just(set()))
    kept = np.array(sorted(chosen), np.int64)
    fewer = scopes.renumber(kept)
    assert fewer.names() == [scopes.names()[number] for number in kept.tolist()]
    assert set(_of_events(fewer, more)) == _expected(more)


def test_names_that_were_stored_get_the_same_number_as_events() -> None:
    scopes = ScopeTable()
    added = scopes.add([("all", "*"), ("all", "a"), ("staff", "a"), ("all", "a")])
    assert added[1] == added[3]
    assert len(set(added.tolist())) == 3
    numbers = scopes.add_codes(scopes.of_events(["all"], [(" A ",)], 100).codes)
    assert numbers.tolist() == added[:2].tolist()


def test_a_flood_of_spellings_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes_module, "_MOST_SPELLINGS", 3)
    scopes = ScopeTable()
    events: Events = [("all", (f"{' ' * blanks}topic",)) for blanks in range(20)]
    assert set(_of_events(scopes, events)) == _expected(events)
    assert len(scopes) == 2
