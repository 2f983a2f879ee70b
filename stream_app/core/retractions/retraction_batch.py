"""Retractions as columns: which events of the partition are taken back, and when."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.events.credit import texts, times_ms
from stream_app.core.events.identity import event_hashes
from stream_app.core.events.schema import Post, Retract, Share


class Retractions(NamedTuple):
    """Retractions of one batch, in the order read: columns of equal length."""

    users: Sequence[str]
    hashes: Hashes
    """Of the events that are taken back, like those of the events themselves."""
    ts_ms: Ints
    """When they were taken back, epoch ms."""
    are_posts: Ints
    """1 for a post that is taken back, 0 for a share."""

    def only(self, places: Sequence[int]) -> "Retractions":
        """Return only those at `places`."""
        chosen = np.array(places, np.int64)
        return Retractions(
            [self.users[place] for place in places], self.hashes[chosen], self.ts_ms[chosen], self.are_posts[chosen]
        )


def retractions_of(events: Sequence[Retract], event_key: int) -> Retractions:
    """Return the columns; `event_key`: the secret of the ledger. Raises LongIntegerError like `credit`."""
    users, ids = texts([event.user_id for event in events]), texts([event.event_id for event in events])
    are_posts = np.array([event.of != "share" for event in events], np.int64)
    hashes = np.where(
        are_posts == 1, event_hashes(Post, users, ids, event_key), event_hashes(Share, users, ids, event_key)
    )
    return Retractions(users, hashes, times_ms([event.ts for event in events]), are_posts)
