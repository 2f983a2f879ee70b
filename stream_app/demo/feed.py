"""The stream that a demo produces, and the thread that produces it."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stream_app.demo.generator.activity import HOUR_MS
from stream_app.demo.generator.company import STRETCH, Company, company
from stream_app.demo.generator.population import Truth, demo_population
from stream_app.settings import Settings
from stream_app.sources.files import is_repeatable, read_events
from stream_app.sources.found import FoundEvents
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import Progress, replay
from stream_app.sources.skew import Place, SkewBound

LIVE_MS = round(9.5 * HOUR_MS)
"""The end of the demo stream, in which the risers take off: sent at LIVE_SPEED, the events before it at once."""
LIVE_SPEED = 1200.0
"""Event time per wall time: slow enough that the tracker sees users rise, fast enough to watch."""
COMPANY_LIVE_MS = 6 * 24 * HOUR_MS
COMPANY_LIVE_SPEED = 30_000.0
"""The same of the company's stream, whose people write less."""


class Part(NamedTuple):
    """Events that are sent at one speed."""

    events: Iterable[RecordedEvent]
    speed: float | None
    """Event time per wall time; None: as fast as possible."""


class Stream(NamedTuple):
    """A stream of known length."""

    parts: Sequence[Part]
    size: int | None
    """Events to send: those before `until_ms`; None where a pipe is still to be read."""
    truth: Truth | None = None
    """The true results, if they are known."""
    found: FoundEvents | None = None
    """What recorded events are; complete once they are read."""
    company: Company | None = None
    """The company that made the stream, if one did."""


def recorded_stream(paths: Sequence[Path], until_ms: int | None, speed: float | None, settings: Settings) -> Stream:
    """The events of files, read twice: to count them, and to send them; of pipes once. Raises EventFileError."""
    found = FoundEvents(settings)
    events = (event for event in read_events(paths) if _is_sent(event, until_ms))
    if not all(map(is_repeatable, paths)):
        return Stream([Part(found.passing(events), speed)], None, found=found)
    for _ in found.passing(events):
        pass  # only counted
    return Stream([Part(read_events(paths), speed)], found.count, found=found)


def demo_stream(users: int, until_ms: int | None, speed: float | None) -> Stream:
    """The demo stream; `speed` None: its end as if live, the events before that as fast as possible.

    The truth is that of the whole stream, so one cut short has none. Raises ValueError.
    """
    demo = demo_population(users=users)
    events = demo.events
    parts = [Part(events, speed)]
    if speed is None:
        live = next(place for place, event in enumerate(events) if event.ts_ms >= demo.window_end_ms - LIVE_MS)
        parts = [Part(events[:live], None), Part(events[live:], LIVE_SPEED)]
    size = sum(_is_sent(event, until_ms) for event in events)
    return Stream(parts, size, demo.truth if until_ms is None else None)


def company_stream(speed: float | None, settings: Settings) -> Stream:
    """The stream of a made-up company; `speed` None: its end as if live, what was before as fast as possible."""
    made = company(settings.window)
    parts = [Part(made.events, speed)]
    if speed is None:
        live = next(place for place, event in enumerate(made.events) if event.ts_ms >= STRETCH.end_ms - COMPANY_LIVE_MS)
        parts = [Part(made.events[:live], None), Part(made.events[live:], COMPANY_LIVE_SPEED)]
    return Stream(parts, len(made.events), company=made)


def _is_sent(event: RecordedEvent, until_ms: int | None) -> bool:
    return until_ms is None or event.ts_ms < until_ms


class Feed:
    """Makes a stream and produces it to Kafka, in a thread."""

    def __init__(
        self,
        make: Callable[[], Stream],
        settings: Settings,
        until_ms: int | None,
        counted: Callable[[], Mapping[Place, int]] | None = None,
        say: Callable[[int], object] = int,
    ) -> None:
        """`counted` is how far the workers have counted, so that nothing that is in order is late.

        `say`: called with the event time, epoch ms, up to which all is in Kafka.
        """
        self._counted = counted
        self._say = say
        self._make = make
        self._settings = settings
        self._until_ms = until_ms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.stream: Stream | None = None
        self.begun_s: float | None = None
        """When the first event was sent (time.monotonic)."""
        self.sent = 0
        self.is_done = False
        """Whether Kafka has acknowledged everything."""
        self.error: Exception | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop producing, whether everything is sent or not."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self.stream = self._make()
            self.begun_s = time.monotonic()
            for part in self.stream.parts:
                self._send(part)
            self.is_done = True
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    def _send(self, part: Part) -> None:
        before = self.sent

        def on_progress(progress: Progress) -> None:
            self.sent = before + progress.sent

        report = replay(
            part.events,
            self._settings.brokers,
            self._settings,
            speed=part.speed,
            until_ms=self._until_ms,
            bound=self._bound(),
            on_progress=on_progress,
            stop=self._stop,
        )
        self.sent = before + report.sent

    def _bound(self) -> SkewBound | None:
        if self._counted is None:
            return None
        return SkewBound(self._counted, self._settings, math.inf, self._say)
