"""The demo: an embedded Kafka and Redis, workers, a stream, and a look at what comes of it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream_app.core.messages import ALL_TOPICS, DEFAULT_POPULATION, Cut, Flag, FlagType, Role
from stream_app.core.state.watermark import Source
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.demo.feed import Feed, Part, Stream
from stream_app.demo.generator.population import Truth
from stream_app.demo.observer import Observer
from stream_app.demo.picture import Picture, Place, Rate
from stream_app.demo.workers import WorkerFailedError, Workers
from stream_app.kafka.clients import kafka_python_options
from stream_app.settings import Settings, with_servers
from stream_app.sources.recorded_event import RecordedEvent

_STEP_S = 0.1
_TOPS_EVERY_S = 1.0
_TOP_USERS = 5
_FLAGS_SHOWN = 8
_QUIET_S = 2.0
_SETTLE_S = 45.0
_PATIENCE_S = 60.0
_THREAD_S = 1.0

ReadTop = Callable[[str, Role, int], Sequence[tuple[str, int]]]
"""(topic, role, n) to the highest users."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and where to look."""


class DemoEngine(NamedTuple):
    """What the demo needs of the parts that it does not know."""

    create_topics: Callable[[Settings], object]
    top_reader: Callable[[Settings], AbstractContextManager[ReadTop]]
    watermark_key: bytes
    """Under this key the curves topic takes how far event time has come."""


class DemoView(Protocol):
    """Shows how it goes."""

    def show(self, picture: Picture) -> None:
        """Show the present picture."""


class DemoResult(NamedTuple):
    """What came of it."""

    settings: Settings
    counted: Source
    cuts: list[Cut]
    flags: list[Flag]
    """Each change once; those of one user in order."""
    seconds: float
    """Wall time from the first event produced to the last one counted."""
    is_settled: bool
    """False where the cuts still changed when the demo stopped waiting."""
    truth: Truth | None


@contextmanager
def running_demo(
    make_stream: Callable[[], Stream],
    settings: Settings,
    *,
    workers: int,
    until_ms: int | None,
    engine: DemoEngine,
    view: AbstractContextManager[DemoView],
    on_start: Callable[[Settings], None],
) -> Iterator[DemoResult]:
    """Run the demo to its end, and keep its servers and workers for the length of the block.

    `settings` name what to count and how; broker and Redis are those of the demo. Where `until_ms` is given the last
    window ends there. `on_start` is told the settings that the first worker has. Raises
    EmbeddedServerError, EventFileError, ReplayError, WorkerFailedError and DemoError.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_log_folder())
        own = with_servers(
            settings,
            brokers=stack.enter_context(embedded_broker(folder / "broker.log")),
            redis_url=stack.enter_context(embedded_redis(folder / "redis.log")),
        )
        engine.create_topics(own)
        started = stack.enter_context(Workers(own, workers, folder))
        own = msgspec.structs.replace(own, http_port=started.states()[0].http_port)
        on_start(own)
        feed, observer = Feed(make_stream, own, until_ms), Observer(own)
        stack.callback(observer.stop, _THREAD_S)
        stack.callback(feed.stop, _THREAD_S)
        read_top = stack.enter_context(engine.top_reader(own))
        feed.start()
        observer.start()
        with view as shown:
            run = _Run(own, feed, observer, started, read_top, shown)
            seconds = run.count()
            if until_ms is not None:
                _say_event_time(own, engine.watermark_key, until_ms - 1)
            settled = run.settle(until_ms - 1 if until_ms is not None else None)
        truth = feed.stream.truth if feed.stream else None
        yield DemoResult(own, observer.counted, observer.cuts, observer.flags, seconds, settled, truth)


@contextmanager
def going_on(events: Iterable[RecordedEvent], speed: float, settings: Settings) -> Iterator[None]:
    """Have further events come, for the length of the block."""
    feed = Feed(lambda: Stream([Part(events, speed)], 0), settings, None)
    feed.start()
    try:
        yield
    finally:
        feed.stop(_THREAD_S)


class _Run:
    """A demo under way."""

    def __init__(
        self, settings: Settings, feed: Feed, observer: Observer, workers: Workers, read_top: ReadTop, view: DemoView
    ) -> None:
        self._settings, self._feed, self._observer = settings, feed, observer
        self._workers, self._read_top, self._view = workers, read_top, view
        self._start = time.monotonic()
        self._produced_rate, self._counted_rate = Rate(), Rate()
        self._tops: dict[Place, Sequence[tuple[str, int]]] = {}
        self._tops_at_s = 0.0
        self._cuts: dict[Place, Cut] = {}
        self._news: list[str] = []

    def count(self) -> float:
        """Return when everything is produced and counted, with the seconds it took."""
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
        return time.monotonic() - (feed.begun_s or self._start)

    def settle(self, end_ms: int | None) -> bool:
        """Wait until the last cuts and flags are out; False where that takes too long."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            self._step("settling")
            if self._observer.is_settled(end_ms, _QUIET_S):
                return True
        return False

    def _step(self, stage: str) -> None:
        for error in (self._feed.error, self._observer.error):
            if error is not None:
                raise error
        self._news += self._workers.revive()
        self._look()
        self._view.show(self._picture(stage))
        time.sleep(_STEP_S)

    def _look(self) -> None:
        """Look at the board, now and then."""
        if time.monotonic() - self._tops_at_s < _TOPS_EVERY_S:
            return
        self._cuts = {(cut.topic, cut.role): cut for cut in self._observer.cuts if cut.population == DEFAULT_POPULATION}
        if self._cuts:
            self._tops = {
                (topic, role): self._read_top(topic, role, _TOP_USERS)
                for topic in (ALL_TOPICS, *self._main_topic())
                for role in (Role.CONNECTOR, Role.MAVEN)
            }
        self._tops_at_s = time.monotonic()

    def _main_topic(self) -> Sequence[str]:
        """The topic with the highest total that is not all of them."""
        totals = {cut.total: topic for (topic, role), cut in self._cuts.items() if role is Role.CONNECTOR}
        named = [total for total, topic in totals.items() if topic != ALL_TOPICS]
        return [totals[max(named)]] if named else []

    def _picture(self, stage: str) -> Picture:
        observer, counted = self._observer, self._observer.counted
        emerging = [flag for flag in observer.flags if flag.type is FlagType.EMERGING]
        return Picture(
            stage=stage,
            seconds=time.monotonic() - self._start,
            size=self._feed.stream.size if self._feed.stream else None,
            produced=self._feed.sent,
            counted=counted,
            produced_per_s=self._produced_rate.per_s(self._feed.sent),
            counted_per_s=self._counted_rate.per_s(counted.read),
            tops=self._tops,
            cuts=self._cuts,
            flags=observer.flags[-_FLAGS_SHOWN:],
            emerging=emerging,
            flag_counts=observer.flag_counts,
            workers=self._workers.states(),
            is_counting=observer.partitions_seen > 0,
            news=self._news,
        )


def _say_event_time(settings: Settings, key: bytes, ts_ms: int) -> None:
    """Tell the workers how far event time has come: no event does, at the end of a recording."""
    producer = KafkaProducer(**kafka_python_options(settings), metrics_enabled=False)
    try:
        producer.send(settings.curves_topic, str(ts_ms).encode(), key, partition=0).get(_PATIENCE_S)
    except KafkaError as error:
        raise DemoError(f"the embedded broker did not take the end of event time: {error}") from error
    finally:
        producer.close(_THREAD_S)


@contextmanager
def _log_folder() -> Iterator[Path]:
    """A folder for logs; it stays where the logs tell what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="stream-app-demo-"))
    try:
        yield folder
    except (WorkerFailedError, DemoError):
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
