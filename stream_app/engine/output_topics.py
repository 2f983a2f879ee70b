"""What the tracker produces to Kafka: one method per topic, each record complete with key and headers."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.cuts import curve_message, history
from stream_app.core.cuts.curve_message import CurveMessage
from stream_app.core.cuts.history import PastKey
from stream_app.core.events.dead_letter import DeadLetter
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.messages import Cut
from stream_app.engine.producer import BatchingProducer
from stream_app.settings import Settings

_JSON = msgspec.json.Encoder()


def cut_key(cut: Cut) -> bytes:
    """The key of a cut: its topic, population and role as a JSON array."""
    return _JSON.encode((cut.topic, cut.population, cut.role))


class OutputTopics:
    """Puts messages into `producer`; `flush` waits until Kafka has them."""

    def __init__(self, producer: BatchingProducer, settings: Settings) -> None:
        self._put = producer.put
        self._settings = settings
        self.flush = producer.flush
        self.relieve = producer.relieve

    def dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Records that cannot be counted, in the partition they came in."""
        self._set_aside(self._settings.dead_letters_topic, letters)

    def late(self, letters: Iterable[DeadLetter]) -> None:
        """Events older than the window, in the partition they came in."""
        self._set_aside(self._settings.late_topic, letters)

    def flags(self, partition: int, users: Sequence[str], flags: Sequence[bytes]) -> None:
        """Standings that changed in `partition`: of `users`, the flags as JSON."""
        keys = [user.encode() for user in users]
        if self._settings.partitioner == "murmur2":  # a user's flags belong where the user's events do
            places = [partition] * len(keys)
        else:
            places = partitions_of(keys, self._settings.partitions).tolist()
        for place, key, flag in zip(places, keys, flags, strict=True):
            self._put(self._settings.flags_topic, place, key, flag)

    def cuts(self, cuts: Iterable[Cut]) -> None:
        """Cuts that changed."""
        for cut in cuts:
            self._put(self._settings.cuts_topic, 0, cut_key(cut), _JSON.encode(cut))

    def forget_cuts(self, keys: Iterable[bytes]) -> None:
        """Scopes without users: their cuts are deleted."""
        for key in keys:
            self._put(self._settings.cuts_topic, 0, key, None)

    def curves(self, messages: Iterable[CurveMessage]) -> None:
        """The curves of a partition."""
        for message in messages:
            key = f"curves/{message.partition}/{message.bucket}".encode()
            self._put(self._settings.curves_topic, 0, key, curve_message.encode(message))

    def status(self, message: Status) -> None:
        """How far a partition has come."""
        self._put(self._settings.curves_topic, 0, f"status/{message.partition}".encode(), status.encode(message))

    def past(self, ended: PastKey, cuts: Collection[Cut]) -> None:
        """What the cuts of a bucket were when a pane ended; none: nobody asks any more."""
        self._put(self._settings.curves_topic, 0, ended.encode(), history.encode(cuts) if cuts else None)

    def _set_aside(self, topic: str, letters: Iterable[DeadLetter]) -> None:
        if self._settings.pseudonyms:  # only where they came from and why: the rest names users
            letters = (letter._replace(key=None, value=None) for letter in letters)
        for letter in letters:
            self._put(topic, letter.origin.partition, letter.key, letter.value, letter.headers())
