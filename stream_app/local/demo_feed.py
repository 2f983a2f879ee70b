"""What a demo produces, and the thread that produces it."""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from stream_app.local.events import RecordedEvent
from stream_app.local.files import read_events
from stream_app.local.population import Truth, demo_population
from stream_app.local.replay import Progress, ReplayReport, replay
from stream_app.settings import Settings


class Stream(NamedTuple):
    """A stream of known length."""

    events: Iterable[RecordedEvent]
    size: int
    """Events to be sent: those before the end that was asked for."""
    speed: float | None
    """Event time per wall time; None: as fast as possible."""
    truth: Truth | None
    """The right answers, where they are known."""


def recorded_stream(paths: Sequence[Path], until_ms: int | None, speed: float | None) -> Stream:
    """The events of files, read twice: to count them, and to send them. Raises EventFileError."""
    size = sum(1 for event in read_events(paths) if until_ms is None or event.ts_ms < until_ms)
    return Stream(read_events(paths), size, speed, None)


def demo_stream(users: int, until_ms: int | None, speed: float | None) -> Stream:
    """The demo stream; its truth is that of its end, so there is none where it is cut short. Raises ValueError."""
    demo = demo_population(users=users)
    if until_ms is None:
        return Stream(demo.events, len(demo.events), speed, demo.truth)
    size = sum(1 for event in demo.events if event.ts_ms < until_ms)
    return Stream(demo.events, size, speed, None)


class Feed:
    """Makes a stream and sends it, in a thread of its own."""

    def __init__(self, make: Callable[[], Stream], settings: Settings, until_ms: int | None) -> None:
        self._make = make
        self._settings = settings
        self._until_ms = until_ms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.stream: Stream | None = None
        self.progress = Progress(0, 0, -1, 0.0)
        self.report: ReplayReport | None = None
        """Set when everything is sent."""
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End, wherever it is."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            stream = self._make()
            self.stream = stream
            self.report = replay(
                stream.events,
                self._settings.brokers,
                self._settings,
                speed=stream.speed,
                until_ms=self._until_ms,
                on_progress=self._on_progress,
                stop=self._stop,
            )
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
