"""What comes after the demo stream, for those who stay to look around: day after day like its last one, without end."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec

from stream_app.core.events import Post, Share, decode
from stream_app.local.activity import WINDOW_MS
from stream_app.local.events import RecordedEvent
from stream_app.local.population import END_MS, demo_population

SPEED = 120.0
"""Event time per wall time: a day takes twelve minutes."""
EMPLOYEES = 40
"""One in so many users also talks as an employee, to colleagues: the second population."""
_COLLEAGUES = 20
"""They reach so many times fewer people."""


def further_days(users: int) -> Iterator[RecordedEvent]:
    """Yield the events of the days from the end of the demo stream on; `users` as in that. Raises ValueError."""
    for day in count(1):
        shift_ms = day * WINDOW_MS
        for event in demo_population(seed=7 + day, users=users).events:
            if event.ts_ms >= END_MS - WINDOW_MS:
                yield from _on_day(day, event, event.ts_ms + shift_ms)


def _on_day(day: int, event: RecordedEvent, ts_ms: int) -> Iterator[RecordedEvent]:
    """The event at its new time, a broken one as it is; of some users also what they say as employees."""
    if decode([event.value], Share if event.share else Post, len(event.value)).rejected:
        yield event
        return
    fields: dict[str, Any] = msgspec.json.decode(event.value)
    fields |= {"event_id": f"{day}-{fields['event_id']}", "ts": ts_ms}
    yield RecordedEvent(event.share, event.key, msgspec.json.encode(fields), ts_ms)
    if len(event.key) > 1 and event.key[1:].isdigit() and int(event.key[1:]) % EMPLOYEES == 0:
        fields |= {"event_id": f"{fields['event_id']}-e", "user_id": f"e{event.key[1:].decode()}"}
        fields |= {"population": "employee", "audience": (fields.get("audience") or 0) // _COLLEAGUES}
        yield RecordedEvent(event.share, fields["user_id"].encode(), msgspec.json.encode(fields), ts_ms)
