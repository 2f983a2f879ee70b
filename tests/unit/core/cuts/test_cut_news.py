"""Cut news: scopes that can be ranked with every change, small ones by steps or once a minute, none for nothing."""

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.cuts.cut_news import AT_LEAST_EVERY_MS, REST_MS, CutNews
from stream_app.core.cuts.scope_cuts import ScopeCuts
from stream_app.core.flags.ranking import RANKED, UNRANKED

WINDOW_END, NEXT_END = 100, 110
SMALL, RANKABLE = 5, 50


class Home:
    """Cuts of scopes, and what was published of them."""

    def __init__(self, *users: int, few_scopes: int = 0) -> None:
        self.cuts = ScopeCuts.empty(len(users))
        self.news = CutNews(few_scopes)
        self.now_ms = 1_000_000
        self.set(users=users, k=[1] * len(users), thresholds=[100] * len(users))
        self.set(ranking=[RANKED if number >= RANKABLE else UNRANKED for number in users])

    def set(self, **columns: object) -> None:
        for name, values in columns.items():
            getattr(self.cuts, name)[:] = values

    def look(self, *changed: int, window_end: int = WINDOW_END, most: int = 100) -> list[int]:
        """What is published of what has changed."""
        found: Ints = self.news.look(self.cuts, np.array(changed, np.int64), window_end, self.now_ms, most)
        self.news.publish(found, self.cuts.of(found), self.now_ms)
        return [int(number) for number in found]


def test_everything_is_news_once() -> None:
    home = Home(RANKABLE, SMALL)
    assert home.look(0, 1) == [0, 1]
    assert home.look() == []


def test_a_scope_that_can_be_ranked_is_news_with_every_change() -> None:
    home = Home(RANKABLE, SMALL)
    home.look(0, 1)
    home.set(totals=1)
    assert home.look(0, 1) == [0]


def test_nothing_is_news_that_says_the_same() -> None:
    home = Home(RANKABLE, SMALL)
    home.look(0, 1)
    home.now_ms += AT_LEAST_EVERY_MS
    assert home.look(0, 1) == []


def test_a_small_scope_is_news_when_k_makes_a_step_or_its_threshold_moves_by_a_tenth() -> None:
    home = Home(SMALL)
    home.look(0)
    home.set(thresholds=109)
    assert home.look(0) == []
    home.set(thresholds=110)
    assert home.look(0) == [0]
    home.set(k=2)
    assert home.look(0) == [0]
    home.set(users=0, ranking=UNRANKED)
    assert home.look(0) == [0]


def test_a_small_scope_that_has_changed_is_news_after_a_minute() -> None:
    home = Home(SMALL)
    home.look(0)
    home.set(totals=7)
    home.now_ms += AT_LEAST_EVERY_MS - 1
    assert home.look(0) == []
    home.now_ms += 1
    assert home.look(0) == [0]
    home.now_ms += AT_LEAST_EVERY_MS
    assert home.look(0) == [], "nothing has changed"


def test_a_moment_after_the_last_change_everything_is_published_as_it_is() -> None:
    home = Home(SMALL, SMALL, SMALL)
    home.look(0, 1, 2)
    home.set(totals=7)
    assert home.look(0, 1) == []
    home.now_ms += REST_MS - 1
    assert home.look(2) == []
    home.now_ms += REST_MS - 1
    assert home.look() == []
    home.now_ms += 1
    assert [home.look(most=2), home.look(), home.look()] == [[0, 1], [2], []]


def test_a_window_that_moves_on_is_news_for_those_that_can_be_ranked() -> None:
    home = Home(RANKABLE, SMALL)
    home.look(0, 1)
    assert home.look(window_end=NEXT_END) == [0]


def test_while_there_are_few_scopes_all_are_published_like_those_that_can_be_ranked() -> None:
    home = Home(RANKABLE, SMALL, 0, few_scopes=3)
    home.look(0, 1)
    home.set(totals=1)
    assert home.look(1) == [1]
    assert home.look(window_end=NEXT_END) == [0, 1]


def test_what_is_too_much_for_one_time_comes_the_next_times() -> None:
    home = Home(*[RANKABLE] * 5)
    assert [home.look(0, 1, 2, 3, 4, most=2), home.look(most=2), home.look(most=2)] == [[0, 1], [2, 3], [4]]


def test_scopes_can_be_renumbered() -> None:
    home = Home(RANKABLE, 0, SMALL)
    home.look(0, 1, 2)
    kept = np.array([0, 2])
    home.cuts = home.cuts.of(kept)
    home.news.renumber(kept)
    home.set(totals=1)
    assert home.look(0, 1) == [0]
