"""The homes of the owned partitions: they begin empty, ask once they hear, and ask again while something is missing."""

from typing import Any

import numpy as np
import pytest

from stream_app.core.changelog.columns import pack
from stream_app.core.exchange.delta_message import VERSION, DeltaMessage
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.ranking import RankingRules


def message(home: int, source: int, *, epoch: int = 1, number: int = 0, is_everything: bool = True) -> DeltaMessage:
    nothing = pack(np.empty(0, np.int64))
    columns: Any = dict.fromkeys(("replaced", "curve", "value", "users", "total"), nothing)
    return DeltaMessage(
        version=VERSION,
        source=source,
        epoch=epoch,
        home=home,
        number=number,
        is_everything=is_everything,
        has_more=False,
        scopes=[],
        **columns,
    )


@pytest.fixture
def owned() -> dict[int, int]:
    return {0: 3, 2: 5}


def test_a_home_asks_for_everything_once_it_hears_what_is_sent(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 3, 0.8, RankingRules())
    homes.follow()
    assert homes.epochs() == {0: 3, 2: 5}
    homes.hears(0, 2, 0.0)  # of the ownership before
    assert (homes.asked(0), homes.asked(2), homes.asked(1)) == (0, 0, 0)
    homes.hears(0, 3, 0.0)
    homes.hears(0, 3, 1.0)
    assert homes.asked(0) == 1


def test_cuts_count_once_every_partition_has_answered(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 3, 0.8, RankingRules())
    homes.follow()
    for source in range(3):
        assert dict(homes.complete()) == {}
        homes.hear(message(2, source))
    assert list(homes.complete()) == [2]
    homes.hear(message(1, 0))  # not here


def test_the_newest_window_is_that_of_the_messages_heard_here(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 3, 0.8, RankingRules())
    homes.follow()
    for home, horizon in ((2, 500), (0, 900), (2, 700), (1, 2000)):
        heard = message(home, 0)
        heard.horizon, heard.newest = horizon, horizon + 1
        homes.hear(heard)
    assert (homes.newest_ms, homes.newest_event_ms) == (900, 901)


def test_a_home_asks_again_while_something_is_missing(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 1, 0.8, RankingRules())
    homes.follow()
    homes.hears(0, 3, 0.0)
    homes.ask_again(4.0)
    assert homes.asked(0) == 1
    homes.ask_again(6.0)
    assert homes.asked(0) == 2
    homes.hear(message(0, 0))
    homes.ask_again(20.0)
    assert homes.asked(0) == 2
    homes.hear(message(0, 0, number=5, is_everything=False))  # what came between is lost
    homes.ask_again(20.0)
    assert homes.asked(0) == 3


def test_a_partition_that_was_away_has_a_new_home(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 1, 0.8, RankingRules())
    homes.follow()
    homes.hear(message(0, 0))
    owned[0] = 4
    del owned[2]
    homes.follow()
    assert (homes.epochs(), dict(homes.complete())) == ({0: 4}, {})


def test_a_home_that_is_not_answered_waits_longer_each_time(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 2, 0.8, RankingRules())
    homes.follow()
    homes.hears(0, 3, 0.0)
    homes.hear(message(0, 1))
    asked_s = [now_s for now_s in range(400) if homes.ask_again(float(now_s)) == {0: [0]}]
    assert asked_s == [6, 17, 38, 79, 160, 241, 322]


def test_a_home_says_from_whom_it_has_not_heard_everything(owned: dict[int, int]) -> None:
    homes = Homes(lambda: owned, 3, 0.8, RankingRules())
    homes.follow()
    assert (homes.unheard(2), homes.unheard(1)) == ([0, 1, 2], [])
    for source in (0, 2):
        homes.hear(message(2, source))
    assert homes.unheard(2) == [1]
    homes.hear(message(2, 1))
    homes.hear(message(2, 0, number=2, is_everything=False))  # 1 was lost
    assert homes.unheard(2) == [0]
