"""Scope numbers: as a list of names and a dict of their numbers would have them."""

from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.exchange.scope_numbers import ScopeNumbers
from stream_app.core.state.scopes import ScopeName

names = st.builds(ScopeName, st.sampled_from(["all", "b2b", ""]), st.sampled_from(["*", "tea", "all", ""]))


@given(st.lists(st.lists(names, max_size=6), max_size=6), st.slices(12))
def test_they_are_those_of_a_list_and_a_dict(batches: list[list[ScopeName]], some: slice) -> None:
    scopes, expected = ScopeNumbers(), dict[ScopeName, int]()
    for batch in batches:
        found = [expected.setdefault(name, len(expected)) for name in batch]
        assert scopes.add(batch).tolist() == found
    assert [*scopes] == [*expected]
    assert [scopes[number] for number in range(len(scopes))] == [*expected]
    assert scopes[some] == [*expected][some]
    for name in (ScopeName("all", "tea"), ScopeName("c", "tea"), *expected):
        assert scopes.find(name) == expected.get(name)
