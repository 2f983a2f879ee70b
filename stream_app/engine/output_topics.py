"""The output topics: one method for each kind of record that the tracker produces, with its key and headers."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.cuts import curve_message, history
from stream_app.core.cuts.curve_message import CurveMessage
from stream_app.core.cuts.history import PastKey
from stream_app.core.events import duplicate_sample
from stream_app.core.events.dead_letter import DeadLetter
from stream_app.core.events.duplicate_sample import DuplicateSample
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.messages import Cut
from stream_app.engine.producer import BatchingProducer
from stream_app.settings import Settings

_JSON = msgspec.json.Encoder()


def cut_key(cut: Cut) -> bytes:
    """Return the key of a cut: topic, population and role as a JSON array."""
    return _JSON.encode((cut.topic, cut.population, cut.role))


class OutputTopics:
    """Puts records into `producer`; `flush` waits until Kafka has them."""

    def __init__(self, producer: BatchingProducer, settings: Settings) -> None:
        self._put = producer.put
        self._settings = settings
        self.flush = producer.flush
        self.relieve = producer.relieve

    def dead_letters(self, records: Iterable[DeadLetter]) -> None:
        """Write records that cannot be counted to the dead letters topic, in their original partition."""
        self._set_aside(self._settings.dead_letters_topic, records)

    def late(self, records: Iterable[DeadLetter]) -> None:
        """Write events older than the window to the late topic, in their original partition."""
        self._set_aside(self._settings.late_topic, records)

    def flags(self, partition: int, users: Sequence[str], flags: Sequence[bytes]) -> None:
        """Write `flags` (JSON), raised in `partition`, one for each of `users`."""
        keys = [user.encode() for user in users]
        if self._settings.partitioner == "murmur2":  # flags of a user go to the same partition as the user's events
            places = [partition] * len(keys)
        else:
            places = partitions_of(keys, self._settings.partitions).tolist()
        for place, key, flag in zip(places, keys, flags, strict=True):
            self._put(self._settings.flags_topic, place, key, flag)

    def cuts(self, cuts: Iterable[Cut]) -> None:
        """Write changed cuts."""
        for cut in cuts:
            self._put(self._settings.cuts_topic, 0, cut_key(cut), _JSON.encode(cut))

    def forget_cuts(self, keys: Iterable[bytes]) -> None:
        """Delete the cuts under `keys`: their scopes have no users now."""
        for key in keys:
            self._put(self._settings.cuts_topic, 0, key, None)

    def curves(self, messages: Iterable[CurveMessage]) -> None:
        """Write curves of a partition."""
        for message in messages:
            key = f"curves/{message.partition}/{message.bucket}".encode()
            self._put(self._settings.curves_topic, 0, key, curve_message.encode(message))

    def status(self, message: Status) -> None:
        """Write the status of a partition."""
        self._put(self._settings.curves_topic, 0, f"status/{message.partition}".encode(), status.encode(message))

    def duplicates(self, sample: DuplicateSample) -> None:
        """Write the newest duplicates of a partition."""
        self._put(self._settings.curves_topic, 0, *duplicate_sample.encode(sample))

    def past(self, ended: PastKey, cuts: Collection[Cut]) -> None:
        """Write the cuts of a bucket as of the end of a pane; without cuts, delete the record."""
        self._put(self._settings.curves_topic, 0, ended.encode(), history.encode(cuts) if cuts else None)

    def _set_aside(self, topic: str, records: Iterable[DeadLetter]) -> None:
        if self._settings.pseudonyms:  # key and value name users: keep only the headers (origin and reason)
            records = (record._replace(key=None, value=None) for record in records)
        for record in records:
            self._put(topic, record.origin.partition, record.key, record.value, record.headers())
