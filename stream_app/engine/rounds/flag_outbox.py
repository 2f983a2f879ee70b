"""The flag outbox: sends each flag at least once, with a stable id. The new standing is in the log before its flag.

1. Write every changed standing to the standings table, with the flag it raises; wait until Kafka has it.
2. Send the flags; wait until Kafka has them.
3. Delete the standings that ended.

Nothing of the next evaluation is written before these steps are done. So after a crash only flags of the last
evaluation can be unsent. The next owner sends them again, with the same ids.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from stream_app.core.changelog.standing_records import flag_of, look_at, packed, standing_key
from stream_app.core.flags.standing import CODE_OF
from stream_app.core.messages import Flag, FlagType
from stream_app.core.privacy.min_group import UNLIMITED, Disclosure
from stream_app.core.state.ledger import Ledger
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ports import Meter

_ENCODER = msgspec.json.Encoder()


class StandingLog(Protocol):
    """The table that keeps standings, by partition."""

    def write(self, partition: int, key: bytes, value: bytes | None, kept: bytes | None = None) -> None:
        """Set a key, or delete it (None); `kept`: the value in its in-memory format."""


class FlagOutbox:
    """Makes changed standings durable and sends their flags."""

    def __init__(
        self,
        log: StandingLog,
        output: OutputTopics,
        meter: Meter,
        on_sent: Callable[[int, list[Flag]], None],
        on_ended: Callable[[int, list[bytes]], None] = lambda _partition, _keys: None,
        disclosure: Disclosure = UNLIMITED,
    ) -> None:
        """`on_ended`: called with a partition and the keys of standings that ended without a flag."""
        self._on_ended = on_ended
        self._disclosure = disclosure
        self._log = log
        self._output = output
        self._meter = meter
        self._on_sent = on_sent
        self._latest: dict[int, int] = {}

    def detection_ms(self, partition: int, now_ms: int) -> int:
        """Return the detection time of the next flags. It orders flags, so it increases even if the clock goes back."""
        return max(now_ms, self._latest.get(partition, 0) + 1)

    async def raise_flags(self, partition: int, flags: Sequence[Flag]) -> None:
        """Make the standings durable, then send the flags. All have one detection time, see `detection_ms`."""
        if not flags:
            return
        self._latest[partition] = max(flag.detected_at for flag in flags)
        encoded = [_ENCODER.encode(flag) for flag in flags]
        for flag, value in zip(flags, encoded, strict=True):
            self._log.write(partition, standing_key(flag), value, packed(flag))
        await self._output.flush()
        await self._send(partition, flags, encoded)
        for (flag_type, role), n in Counter((flag.type, flag.role) for flag in flags).items():
            self._meter.flags(flag_type, role, n)

    async def end(self, partition: int, flags: Sequence[Flag]) -> None:
        """End standings in scopes that have too few people left for a flag to say so."""
        if not flags:
            return
        keys = list(map(standing_key, flags))
        for key in keys:
            self._log.write(partition, key, None)
        await self._output.flush()
        self._on_ended(partition, keys)

    async def take_over(self, partition: int, stored: Mapping[bytes, bytes], ledger: Ledger) -> None:
        """Restore the `stored` standings and send the flags that may be unsent."""
        if self._disclosure.is_limited:
            stored = self._disclosed(partition, stored)
        flags = list(map(look_at, stored.values()))
        scopes = ledger.scopes.add([(flag.population, flag.topic) for flag in flags])
        users = ledger.users.add([flag.user_id for flag in flags])
        roles = np.array([flag.role.place for flag in flags], np.int64)
        rows = ledger.rows.rows(scopes, users)
        ledger.rows.set_standings(roles, rows, [CODE_OF[flag.type] for flag in flags])
        latest = self._latest[partition] = max((flag.detected_at for flag in flags), default=0)
        unsure = [
            flag_of(kept) for kept, flag in zip(stored.values(), flags, strict=True) if flag.detected_at == latest
        ]
        await self._send(partition, unsure, [_ENCODER.encode(flag) for flag in unsure])

    def _disclosed(self, partition: int, stored: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        """Have the log say no more of standings than may be said now; return those that stay."""
        kept = {}
        for key, value in stored.items():
            flag = flag_of(value)
            said = self._disclosure.of(flag) if self._disclosure.names_anyone else None
            if said is None:
                self._log.write(partition, key, None)
                continue
            kept[key] = packed(said)
            if said != flag:
                self._log.write(partition, key, _ENCODER.encode(said), kept[key])
        return kept

    async def _send(self, partition: int, flags: Sequence[Flag], encoded: Sequence[bytes]) -> None:
        if not flags:
            return
        self._output.flags(partition, [flag.user_id for flag in flags], encoded)
        await self._output.flush()
        for flag in flags:
            if flag.type is FlagType.LEFT:
                self._log.write(partition, standing_key(flag), None)
        self._on_sent(partition, list(flags))
