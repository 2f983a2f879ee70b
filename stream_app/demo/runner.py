"""The demo from start to end: embedded servers, workers, a stream, and what the workers made of it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from kafka.errors import KafkaError

from stream_app.core.messages import Cut, Flag
from stream_app.core.state.watermark import Source
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.demo.event_time import EventTime
from stream_app.demo.feed import Feed, Part, Stream
from stream_app.demo.generator.company import Company
from stream_app.demo.generator.population import Truth
from stream_app.demo.observer import Observer
from stream_app.demo.progress import DemoProgress, ProgressView
from stream_app.demo.workers import WorkerFailedError, Workers
from stream_app.kafka.topics import create
from stream_app.settings import Settings, with_servers
from stream_app.sources.found import FoundEvents
from stream_app.sources.recorded_event import RecordedEvent

_STEP_S = 0.1
_QUIET_S = 2.0
_SETTLE_S = 45.0
_PATIENCE_S = 60.0
_THREAD_S = 1.0


class DemoError(RuntimeError):
    """The demo failed; the message says why and where to look."""


class DemoResult(NamedTuple):
    """What the workers made of the stream."""

    settings: Settings
    counted: Source
    cuts: list[Cut]
    flags: list[Flag]
    """Each change once; those of one user in order."""
    seconds: float
    """Wall time from the first event produced to the last one counted."""
    is_settled: bool
    """Whether the last cuts and flags were out when the demo stopped waiting."""
    truth: Truth | None
    found: FoundEvents | None = None
    """What recorded events are."""
    company: Company | None = None
    """The made-up company whose stream it was."""


@contextmanager
def running_demo(
    make_stream: Callable[[], Stream],
    settings: Settings,
    *,
    workers: int,
    until_ms: int | None,
    watermark_key: bytes,
    view: ProgressView,
    on_start: Callable[[Settings], None],
) -> Iterator[DemoResult]:
    """Run the demo to its end, and keep its servers and workers for the length of the block.

    The demo replaces the broker and the Redis of `settings` by its own. With `until_ms` the last window ends there: a
    record under `watermark_key` on the curves topic moves event time to it. `on_start` gets the settings of the first
    worker. Raises MissingExtraError, EmbeddedServerError, EventFileError, ReplayError, WorkerFailedError and DemoError.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_log_folder())
        own = with_servers(
            settings,
            brokers=stack.enter_context(embedded_broker(folder / "broker.log")),
            redis_url=stack.enter_context(embedded_redis(folder / "redis.log")),
        )
        create(own)
        started = stack.enter_context(Workers(own, workers, folder))
        own = msgspec.structs.replace(own, http_port=started.http_port)
        on_start(own)
        observer = Observer(own)
        event_time = EventTime(own, watermark_key)
        stack.callback(event_time.close, _THREAD_S)
        feed = Feed(make_stream, own, until_ms, observer.positions, event_time.say)
        stack.callback(observer.stop, _THREAD_S)
        stack.callback(feed.stop, _THREAD_S)
        feed.start()
        observer.start()
        with view:
            run = _DemoRun(feed, observer, started, view)
            seconds = run.count()
            if until_ms is not None:
                _end_event_time(event_time, until_ms)
            settled = run.settle(until_ms - 1 if until_ms is not None else None)
        made = feed.stream or Stream((), 0)
        yield DemoResult(
            *(own, observer.counted, observer.cuts, observer.flags, seconds, settled),
            *(made.truth, made.found, made.company),
        )


@contextmanager
def going_on(events: Iterable[RecordedEvent], speed: float, settings: Settings) -> Iterator[None]:
    """Produce further events for the length of the block."""
    feed = Feed(lambda: Stream([Part(events, speed)], 0), settings, None)
    feed.start()
    try:
        yield
    finally:
        feed.stop(_THREAD_S)


class _DemoRun:
    """A demo under way."""

    def __init__(self, feed: Feed, observer: Observer, workers: Workers, view: ProgressView) -> None:
        self._feed, self._observer, self._workers, self._view = feed, observer, workers, view
        self._start_s = time.monotonic()
        self._news: list[str] = []

    def count(self) -> float:
        """Wait until everything is produced and counted; return the seconds it took."""
        feed, moved_s, known = self._feed, time.monotonic(), (0, 0)
        while not (feed.is_done and self._observer.counted.read >= feed.sent):
            self._step("counting" if feed.stream else "making the stream")
            now_s, state = time.monotonic(), (feed.sent, self._observer.counted.read)
            if state != known or feed.stream is None:
                moved_s, known = now_s, state
            if now_s - moved_s > _PATIENCE_S:
                raise DemoError(
                    f"nothing was counted for {_PATIENCE_S:g} s, only {self._observer.counted.read:,} of {feed.sent:,} "
                    f"events are: see the logs of the workers in {self._workers.folder}"
                )
        return time.monotonic() - (feed.begun_s or self._start_s)

    def settle(self, end_ms: int | None) -> bool:
        """Wait until the last cuts and flags are out; False where nothing more comes although they are not."""
        begun_s = time.monotonic()
        while min(time.monotonic() - begun_s, self._observer.quiet_s) < _SETTLE_S:
            self._step("settling")
            if self._observer.is_settled(end_ms, _QUIET_S):
                return True
        return False

    def _step(self, stage: str) -> None:
        for error in (self._feed.error, self._observer.error):
            if error is not None:
                raise error
        self._news += self._workers.revive()
        self._view.show(
            DemoProgress(
                stage=stage,
                seconds=time.monotonic() - self._start_s,
                size=self._feed.stream.size if self._feed.stream else None,
                produced=self._feed.sent,
                counted=self._observer.counted,
                flags=self._observer.flags,
                news=self._news,
            )
        )
        time.sleep(_STEP_S)


def _end_event_time(event_time: EventTime, until_ms: int) -> None:
    """Move event time on to the end of the window: after the last event of a recording no event does."""
    try:
        event_time.say(until_ms - 1)
    except KafkaError as error:
        raise DemoError(f"the embedded broker did not take the end of event time: {error}") from error


@contextmanager
def _log_folder() -> Iterator[Path]:
    """A folder for logs; kept where an error message refers to them."""
    folder = Path(tempfile.mkdtemp(prefix="stream-app-demo-"))
    try:
        yield folder
    except (WorkerFailedError, DemoError):
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
