"""The delta sender: every home gets everything once, and then the changes of the scopes that are at home there."""

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.exchange.delta_message import DeltaMessage, DeltaSource, home_of
from stream_app.core.exchange.delta_sender import DeltaSender, HomeState
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

PARTITIONS = 4
NAMES = [ScopeName("consumer", f"t{number}") for number in range(20)]
AWAKE = {home: HomeState(1, 0) for home in range(PARTITIONS)}


class Sending:
    """A ledger, its sender, and the ledger's users by scope."""

    def __init__(self) -> None:
        self.ledger = Ledger(1000, 4, 1)
        self.sender = DeltaSender(DeltaSource(2, 7), PARTITIONS)

    def post(self, scope: ScopeName, user: str) -> None:
        rows = self.ledger.rows.rows(self.ledger.scopes.add([scope]), self.ledger.users.add([user]))
        self.ledger.rows.add(rows, np.array([1]), np.array([5]), np.zeros(1))

    def to(self, homes: dict[int, HomeState]) -> list[DeltaMessage]:
        return list(self.sender.messages(self.ledger, no_thresholds, homes, 100_000))


def no_thresholds(curves: Ints) -> Ints:
    return np.zeros(len(curves), np.int64)


def test_every_home_gets_everything_first_even_if_that_is_nothing() -> None:
    sending = Sending()
    sending.post(NAMES[0], "ann")
    messages = sending.to(AWAKE)
    assert [message.home for message in messages] == [0, 1, 2, 3]
    assert all(message.is_everything and message.number == 0 for message in messages)
    assert {scope for message in messages for scope in message.scopes} == {NAMES[0]}
    assert all(home_of(scope, PARTITIONS) == message.home for message in messages for scope in message.scopes)


def test_then_only_the_homes_of_scopes_that_changed_get_a_message() -> None:
    sending = Sending()
    for name in NAMES:
        sending.post(name, "ann")
    sending.to(AWAKE)
    assert sending.to(AWAKE) == []
    sending.post(NAMES[3], "bob")
    (message,) = sending.to(AWAKE)
    assert (message.home, message.number, message.is_everything) == (home_of(NAMES[3], PARTITIONS), 1, False)
    assert message.scopes == [NAMES[3]]


def test_a_home_with_another_owner_and_one_that_asks_get_everything_again() -> None:
    sending = Sending()
    for name in NAMES:
        sending.post(name, "ann")
    sending.to(AWAKE)
    sending.post(NAMES[0], "bob")
    for homes in ({**AWAKE, 1: HomeState(2, 0)}, {**AWAKE, 1: HomeState(2, 1)}):
        found = [message for message in sending.to(homes) if message.home == 1]
        assert [message.is_everything for message in found] == [True]
        assert set(found[0].scopes) == {name for name in NAMES if home_of(name, PARTITIONS) == 1}


def test_a_home_that_is_not_there_yet_gets_nothing_and_everything_once_it_is() -> None:
    sending = Sending()
    for name in NAMES:
        sending.post(name, "ann")
    assert {message.home for message in sending.to({0: HomeState(1, 0)})} == {0}
    sending.post(NAMES[0], "bob")
    sending.to({0: HomeState(1, 0)})
    late = [message for message in sending.to(AWAKE) if message.home]
    assert [(message.home, message.is_everything) for message in late] == [(1, True), (2, True), (3, True)]


def test_after_a_renumbering_scopes_are_still_at_home_where_they_were() -> None:
    sending = Sending()
    for name in NAMES:
        sending.post(name, "ann")
    sending.to(AWAKE)
    rows = sending.ledger.rows
    rows.add(np.arange(10), np.full(10, -1), np.full(10, -5), np.zeros(10))
    sending.to(AWAKE)
    sending.ledger.drop_rows(rows.done_with())
    sending.post(NAMES[15], "bob")
    (message,) = sending.to(AWAKE)
    assert (message.home, message.scopes) == (home_of(NAMES[15], PARTITIONS), [NAMES[15]])
