"""What the events of a batch are counted as, in columns, pane by pane."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.content.counted_events import NO_EVENTS, CountedEvents, Worth
from stream_app.core.events.credit import Credits


class BatchEvents(NamedTuple):
    """The events of a batch that add something, and can be taken back: credits for what others did are corrected."""

    worth: Ints
    """Their places in the batch, sorted."""
    are_posts: Ints
    events: CountedEvents

    @classmethod
    def of(cls, batch: Credits, worth: Ints, pane_ms: int, users: Ints, pairs: tuple[Ints, Ints]) -> "BatchEvents":
        """Return the events at the places `worth`; `users`: of each, `pairs`: place among them and scope."""
        events, scopes = pairs
        if batch.recruits is not None:
            return cls(worth[:0], worth[:0], NO_EVENTS)
        in_order = np.argsort(events, kind="stable")
        columns = (batch.hashes[worth], batch.ts_ms[worth] % pane_ms, users, batch.impressions[worth])
        sizes = np.bincount(events, minlength=len(worth))
        return cls(worth, batch.posts[worth], CountedEvents(*columns, sizes, scopes[in_order]))

    def among(self, run: Ints) -> tuple[Ints, dict[Worth, CountedEvents]]:
        """Return which events of a run of places add nothing, and the others by their worth."""
        if not len(self.worth):
            return run, {}
        places = np.minimum(np.searchsorted(self.worth, run), len(self.worth) - 1)
        is_worth = self.worth[places] == run
        places = places[is_worth]
        are_posts = self.are_posts[places] > 0
        chosen = {Worth.POST: places[are_posts], Worth.SHARE: places[~are_posts]}
        return run[~is_worth], {worth: self._at(some) for worth, some in chosen.items() if len(some)}

    def _at(self, places: Ints) -> CountedEvents:
        return self.events if len(places) == len(self.worth) else self.events.at(places)
