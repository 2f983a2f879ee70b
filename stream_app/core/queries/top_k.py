"""Top-k: the users with the highest values in every scope."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.flags.standing import NONE
from stream_app.core.messages import ROLES, Role
from stream_app.core.privacy.min_group import CutSize, Disclosure, power_of_ten
from stream_app.core.state.ledger import Ledger


class TopUsers(NamedTuple):
    """The top users of one scope and role in one partition."""

    topic: str
    population: str
    role: Role
    rows: Sequence[tuple[str, int]]
    """(user, value), highest value first; empty when the scope has no users any more."""


def tops_of(ledger: Ledger, most: int, shown: Mask | None = None) -> Iterator[TopUsers]:
    """Yield at most `most` users for every scope and role that has any; `shown`: for those scopes only, by role."""
    scopes = ledger.rows.scopes
    return _tops(ledger, most, lambda role: np.bool_(True) if shown is None else shown[role][scopes])  # noqa: FBT003


def tops_named(ledger: Ledger, most: int, sizes: CutSize, disclosure: Disclosure) -> Iterator[TopUsers]:
    """Yield the same of those who may be named; `sizes`: of the scopes of the ledger, by role."""
    scopes = ledger.rows.scopes

    def named(role: int) -> Mask:
        has_standing = ledger.rows.standings[role][: len(scopes)] != NONE
        size = CutSize(*(column[role][scopes] for column in sizes))
        found: Mask = disclosure.may_name(has_standing, ledger.rows.values(role), size)
        return found

    for top in _tops(ledger, most, named):
        rounded = [(user, int(power_of_ten(value))) for user, value in top.rows] if disclosure.min_group else top.rows
        yield top._replace(rows=rounded)


def _tops(ledger: Ledger, most: int, shown: Callable[[int], Mask | np.bool_]) -> Iterator[TopUsers]:
    names, scopes, users = ledger.scopes.names(), ledger.rows.scopes, ledger.rows.users
    for role, name in enumerate(ROLES[: ledger.rows.roles]):
        values = ledger.rows.values(role)
        held = np.flatnonzero((values > 0) & shown(role))
        order = held[np.lexsort((-values[held], scopes[held]))]
        starts = np.flatnonzero(np.diff(scopes[order], prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=False):
            rows = order[start : min(end, start + most)]
            highest = zip(users[rows].tolist(), values[rows].tolist(), strict=True)
            population, topic = names[int(scopes[order[start]])]
            yield TopUsers(topic, population, name, [(ledger.users.names[user], value) for user, value in highest])
