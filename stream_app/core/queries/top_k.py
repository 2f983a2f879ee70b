"""Top-k: the users with the highest values in every scope."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.messages import ROLES, Role
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
    names, scopes, users = ledger.scopes.names(), ledger.rows.scopes, ledger.rows.users
    for role, name in enumerate(ROLES):
        values = ledger.rows.values(role)
        held = np.flatnonzero((values > 0) & (True if shown is None else shown[role][scopes]))
        order = held[np.lexsort((-values[held], scopes[held]))]
        starts = np.flatnonzero(np.diff(scopes[order], prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=False):
            rows = order[start : min(end, start + most)]
            highest = zip(users[rows].tolist(), values[rows].tolist(), strict=True)
            population, topic = names[int(scopes[order[start]])]
            yield TopUsers(topic, population, name, [(ledger.users.names[user], value) for user, value in highest])
