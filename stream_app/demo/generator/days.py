"""The days after the demo stream, without end, for `--stay`: each is much like the last day of the stream."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import numpy as np

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post, Share
from stream_app.demo.generator.activity import WINDOW_MS
from stream_app.demo.generator.population import END_MS, demo_population
from stream_app.sources.recorded_event import RecordedEvent

SPEED = 120.0
"""Event time per wall time: a day takes twelve minutes."""
EMPLOYEES = 40
"""One user in so many also posts as an employee: the second population."""
_COLLEAGUES = 20
"""Employees reach so many times fewer people."""
_CHANGE = 0.03
"""The part of the users who repeat another user's day instead of their own: they rise and fall."""
_SILENCE = 0.1
"""The part of the events that are not repeated."""


def further_days(users: int) -> Iterator[RecordedEvent]:
    """Yield the events of the days from the end of the demo stream on; `users` as in that. Raises ValueError."""
    last_day = [event for event in demo_population(users=users).events if event.ts_ms >= END_MS - WINDOW_MS]
    names = np.arange(users)
    for day in count(1):
        rng = np.random.default_rng(day)
        changing = rng.choice(users, round(_CHANGE * users), replace=False)
        names[changing] = names[np.roll(changing, 1)]
        for event, is_silent in zip(last_day, rng.random(len(last_day)) < _SILENCE, strict=True):
            if not is_silent:
                yield from _on_day(day, event, names)


def _on_day(day: int, event: RecordedEvent, names: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[RecordedEvent]:
    """The event on its new day, a broken one as it is; of some users also what they say as employees."""
    if decode([event.value], Share if event.share else Post, len(event.value)).rejected:
        yield event
        return
    fields: dict[str, Any] = msgspec.json.decode(event.value)
    ts_ms, user = event.ts_ms + day * WINDOW_MS, str(fields["user_id"])
    number = int(names[int(user[1:])]) if user[1:].isdigit() else None
    if number is not None:
        user = f"u{number:05}"
    fields |= {"event_id": f"{day}-{fields['event_id']}", "ts": ts_ms, "user_id": user}
    yield RecordedEvent(event.share, user.encode(), msgspec.json.encode(fields), ts_ms)
    if number is not None and number % EMPLOYEES == 0:
        fields |= {"event_id": f"{fields['event_id']}-e", "user_id": f"e{number:05}", "population": "employee"}
        fields["audience"] = (fields.get("audience") or 0) // _COLLEAGUES
        yield RecordedEvent(event.share, fields["user_id"].encode(), msgspec.json.encode(fields), ts_ms)
