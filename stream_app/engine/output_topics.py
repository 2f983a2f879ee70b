"""The output topics: one method for each kind of record that the tracker produces, with its key and headers."""

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.cuts import history
from stream_app.core.cuts.history import PastKey
from stream_app.core.events import duplicate_sample
from stream_app.core.events.dead_letter import DeadLetter
from stream_app.core.events.duplicate_sample import DuplicateSample
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.exchange import cut_record, delta_message
from stream_app.core.exchange.cut_record import CutRecord
from stream_app.core.exchange.delta_message import DeltaMessage
from stream_app.core.funnel.stored.credit_packets import AddressedPacket
from stream_app.core.messages import Cut, Role
from stream_app.core.privacy import ended_sessions
from stream_app.core.privacy.erasures import ErasureRecord
from stream_app.core.state.scopes import ScopeName
from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.producer import BatchingProducer
from stream_app.settings import Settings

_JSON = msgspec.json.Encoder()


def cut_key(cut: Cut) -> bytes:
    """Return the key of a cut."""
    return scope_key(ScopeName(cut.population, cut.topic), cut.role)


def scope_key(scope: ScopeName, role: Role) -> bytes:
    """Return the key of the cut of a scope: topic, population and role as a JSON array."""
    return _JSON.encode((scope.topic, scope.population, role))


class OutputTopics:
    """Puts records into `producer`; `flush` waits until Kafka has them."""

    def __init__(
        self,
        producer: BatchingProducer,
        settings: Settings,
        limits: MessageLimits | None = None,
        bound_hit: Callable[[str], object] = bool,
    ) -> None:
        """`bound_hit`: called with the name of a bound that left something out."""
        self._put = producer.put
        self._settings = settings
        self._limits = limits or MessageLimits(settings.max_message_bytes)
        self._bound_hit = bound_hit
        self.flush = producer.flush
        self.relieve = producer.relieve

    def dead_letters(self, records: Iterable[DeadLetter]) -> None:
        """Write records that cannot be counted to the dead letters topic, in their original partition.

        Each fits the topic: see `most_letter_bytes`.
        """
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

    def additions(self, message: DeltaMessage) -> None:
        """Write what a partition sends to the home of some scopes."""
        self._put(self._settings.additions_topic, message.home, None, delta_message.encode(message))

    def credits(self, packet: AddressedPacket) -> None:
        """Write credits for people of one partition."""
        self._put(self._settings.credits_topic, packet.partition, None, packet.value)

    def most_addition_bytes(self) -> int:
        """Return the size of the largest message to a home."""
        return self._limits.record(self._settings.additions_topic)

    def cut_record(self, scope: ScopeName, record: CutRecord | None) -> bytes | None:
        """Write what all workers have to know of the cuts of a scope; None where they need not any more.

        Returns the value of the record.
        """
        value = None if record is None else cut_record.encode(record)
        self._put(self._settings.curves_topic, 0, cut_record.key_of(scope), value)
        return value

    def forget_records(self, keys: Iterable[bytes]) -> None:
        """Delete records that earlier releases have left on the topic of the exchange."""
        for key in keys:
            self._put(self._settings.curves_topic, 0, key, None)

    def status(self, message: Status) -> None:
        """Write the status of a partition."""
        self._put(self._settings.curves_topic, 0, f"status/{message.partition}".encode(), status.encode(message))

    def erasure(self, record: ErasureRecord) -> None:
        """Write that somebody is erased."""
        self._put(self._settings.erasures_topic, 0, *record)

    def duplicates(self, sample: DuplicateSample) -> None:
        """Write the newest duplicates of a partition."""
        self._put(self._settings.curves_topic, 0, *duplicate_sample.encode(sample))

    def past(self, ended: PastKey, cuts: Collection[Cut]) -> None:
        """Write the cuts of a home as of the end of a pane; without cuts, delete the record."""
        topic = self._settings.curves_topic
        value = history.encode(cuts, min(history.MOST_BYTES, self._limits.record(topic))) if cuts else None
        self._put(topic, 0, ended.encode(), value)

    def most_letter_bytes(self, topic: str) -> int:
        """Return the size of the largest letter on one of the two topics."""
        return self._limits.record(topic)

    def session(self, session: str, until_s: int | None) -> None:
        """Write that a session of a browser was ended before its time, or, without that time, that it is over."""
        value = None if until_s is None else str(until_s).encode()
        self._put(self._settings.curves_topic, 0, ended_sessions.KEY + session.encode(), value)

    def _set_aside(self, topic: str, records: Iterable[DeadLetter]) -> None:
        if self._settings.pseudonyms:  # key and value name users: keep only the headers (origin and reason)
            records = (record._replace(key=None, value=None, whole=None) for record in records)
        for record in records:
            if record.is_elsewhere and not record.is_unread:
                self._bound_hit("dead_letters_per_s" if record.shared else "dead_letter_bytes")
            self._put(topic, record.origin.partition, record.key, record.value, record.headers(), record.bare_headers)
