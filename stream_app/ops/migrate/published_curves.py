"""What the workers of a tracker have published: statuses, cuts as figures, and how far they have read."""

import re
from typing import Any, NamedTuple

import msgspec
from kafka import TopicPartition

from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.exchange.exchange_reader import ExchangeReader
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.messages import Cut
from stream_app.core.state.watermark import NO_TIME, Source
from stream_app.kafka.topic_scan import LeftOut, Span, Spans, TopicTail
from stream_app.settings import Settings

WATERMARK_KEY = b"watermark"
"""Key of a watermark that a source publishes (see engine/rounds/curve_exchange.py)."""

CutName = tuple[str, str, str]
"""Topic, population and role."""
Figures = dict[CutName, "CutFigures"]
_NAME = msgspec.json.Decoder(CutName)
_CUT = msgspec.json.Decoder(Cut)


class CutFigures(NamedTuple):
    """What must be equal in a cut, however the users are dealt to partitions."""

    users: int
    total: int
    k: int
    threshold: int
    ties: int
    exact: bool


class PublishedCurves:
    """The topics of curves and cuts of a tracker, read as far as they go now with each `refresh`."""

    def __init__(self, settings: Settings, consumer: Any) -> None:
        self._tail = TopicTail(consumer, settings.curves_topic)
        self._cuts_tail = TopicTail(consumer, settings.cuts_topic)
        self._exchange = ExchangeReader(FollowedCuts(), settings.partitions)
        self._figures: Figures = {}
        self._left_out = LeftOut()
        self._sources = settings.source_topics
        self.statuses = self._exchange.statuses
        self.watermark: bytes | None = None
        """The last that a source published, as it came."""

    def refresh(self) -> int:
        """Read what is new; returns how many records that was. Raises KafkaOperationError."""
        records = 0
        for tail, take in ((self._tail, self._take), (self._cuts_tail, self._take_cut)):
            for record in tail.unread():
                records += 1
                with self._left_out.unless_readable(record):
                    take(record.key or b"", record.value)
        return records

    @property
    def newest_ms(self) -> int:
        """The event time that the tracker has reached, epoch ms."""
        said = int(self.watermark) if self.watermark else NO_TIME
        return max((said, *(known.horizon for known in self.statuses.values())))

    @property
    def counted(self) -> Source:
        """The counters of all partitions together, of what comes from outside: credits follow from it."""
        total = Source()
        found = (known.sources.get(topic) for known in self.statuses.values() for topic in self._sources)
        for source in filter(None, found):
            for name in ("applied", "duplicate", "late", "rejected", "retracted"):
                setattr(total, name, getattr(total, name) + getattr(source, name))
        return total

    @property
    def users(self) -> int:
        """Users with an event in the window."""
        return sum(known.users for known in self.statuses.values())

    def unread(self, inputs: Spans) -> dict[TopicPartition, Span]:
        """What of the inputs is not counted, as far as was published."""
        left = {}
        for place, span in inputs.items():
            known = self.statuses.get(place.partition)
            source = known.sources.get(place.topic, Source()) if known else Source()
            if (start := max(source.position, span.start)) < span.end:
                left[place] = Span(start, span.end)
        return left

    def figures(self) -> Figures:
        """Every cut that was published, also of topics that too few users talk about to be followed by all workers."""
        return self._figures

    def _take_cut(self, key: bytes, value: bytes | None) -> None:
        try:
            name = _NAME.decode(key)
            cut = _CUT.decode(value) if value else None
        except DECODE_ERRORS as error:
            raise FormatError(f"not a cut: {error}") from error
        if cut is None:
            self._figures.pop(name, None)
        else:
            self._figures[name] = CutFigures(cut.users, cut.total, cut.k, cut.threshold, cut.ties, cut.exact)

    def _take(self, key: bytes, value: bytes | None) -> None:
        self._exchange.take(key, value)
        if key == WATERMARK_KEY and re.fullmatch(rb"\d{1,16}", value or b""):  # others may write to this topic
            self.watermark = value
