"""Check of records: whether the newest of the inputs can be counted, the latest dead letters, and clocks."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from time import time
from typing import Any

from stream_app.core.events.credit import ViewRates, credit_all, times_ms
from stream_app.core.events.decode import Rejected, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of as murmur2_partitions_of
from stream_app.core.events.partition_check import misplaced
from stream_app.core.events.schema import Event, Post, Share
from stream_app.findings import Finding, ok, problem, warning
from stream_app.kafka.topic_scan import newest, partitions_of, read, spans
from stream_app.ops.dead_letters.scan import StoredLetter, letters_in, topics_of
from stream_app.settings import Settings

_SAMPLE = 200
"""Records of each partition of an input."""
_LETTERS = 1000
"""Letters of each partition."""
_MANY = 0.5
_LATELY_S = 24 * 3600
_AHEAD_S = 1.0


def inputs(settings: Settings, _admin: Any, consumer: Any) -> Iterator[Finding]:
    """A sample of the newest records of each input: whether a worker would count them."""
    newest_ms = 0
    kinds: tuple[type[Event], type[Event], None] = (Post, Share, None)
    for topic, kind in zip(settings.source_topics, kinds, strict=True):
        records = list(read(consumer, newest(spans(consumer, partitions_of(consumer, [topic])), _SAMPLE)))
        newest_ms = max((newest_ms, *(record.timestamp for record in records)))
        if not records:
            yield ok("records", f"{topic} holds no records")
            continue
        records.sort(key=lambda record: (record.partition, record.offset))
        bad = [
            reject
            for number, batch in groupby(records, key=lambda record: record.partition)
            for reject in _rejected(settings, kind, number, list(batch))
        ]
        yield _judged(topic, len(records), bad)
    if newest_ms / 1000 > time() + _AHEAD_S:
        ahead_s = newest_ms / 1000 - time()
        advice = "set the clocks by NTP: of this machine, or of the producers"
        yield warning("clock", f"the newest record is stamped {ahead_s:.1f} s ahead of this machine's clock", advice)


def set_aside(settings: Settings, _admin: Any, consumer: Any) -> Iterator[Finding]:
    """How many dead letters and late events there were in the last day."""
    since_ms = (time() - _LATELY_S) * 1000
    for topic in topics_of(settings, late=True):
        lately = newest(spans(consumer, partitions_of(consumer, [topic])), _LETTERS)
        stored = (found for found in letters_in(consumer, lately) if isinstance(found, StoredLetter))
        letters = {found.letter.identity: found for found in stored if found.timestamp_ms >= since_ms}
        reasons: Counter[str] = Counter()
        for found in letters.values():
            reasons.update(found.reasons)
        least = "at least " if any(span.end - span.start == _LETTERS for span in lately.values()) else ""
        if not reasons:
            yield ok("dead letters", f"{topic}: none in the last 24 hours")
            continue
        named = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        advice = "`stream-app dead-letters list --late` shows what they are"
        yield warning("dead letters", f"{topic}: {least}{named} in the last 24 hours", advice)


def _rejected(settings: Settings, kind: type[Event] | None, partition: int, batch: list[Any]) -> list[Rejected]:
    """The records of one partition that a worker would set aside; `kind`: none for retractions."""
    values = [record.value for record in batch]
    if kind is None:
        found, indices, rejected = decode_retractions(values, settings.max_event_bytes, settings.max_id_bytes)
        users: Sequence[str] = [str(event.user_id) for event in found]
        ts_ms = times_ms([event.ts for event in found])
    else:
        decoded = decode(values, kind, settings.max_event_bytes, settings.max_id_bytes)
        (users, _, ts_ms, *_), (_, indices, rejected) = credit_all(decoded, kind, ViewRates())
    rejected += implausible(ts_ms, indices, TimeRange.of_days(settings.min_ts, settings.max_ts))
    place = partial(murmur2_partitions_of, partitions=settings.partitions)
    keys = [record.key for record in batch]
    checked = place if settings.partitioner == "murmur2" else None
    return [*rejected, *misplaced(users, keys, indices, partition, checked, {})]


def _judged(topic: str, sampled: int, bad: list[Rejected]) -> Finding:
    if not bad:
        return ok("records", f"{topic}: the newest {sampled:,} can all be counted")
    reasons = Counter(reject.reason for reject in bad)
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    common = reasons.most_common(1)[0][0]
    example = next(reject.message for reject in bad if reject.reason == common)
    what = f"{topic}: of the newest {sampled:,} {100 * len(bad) / sampled:.1f} % cannot be counted ({named})"
    judge = problem if len(bad) > _MANY * sampled else warning
    return judge("records", what, f"correct the producer; for instance: {example}")
