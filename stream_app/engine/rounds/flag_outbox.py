"""Flags out, each at least once and recognisable: the new standing is in the log before the flag is sent.

1. Every standing that changed is written to the table of standings, with the flag it raises, and Kafka has it.
2. The flags are sent, and Kafka has them.
3. Standings that ended are deleted.

Nothing of the next evaluation is written before that, so after a crash only the flags of the last evaluation can be
unsent: those are sent again, under the same ids.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from xxhash import xxh3_128_hexdigest

from stream_app.core.flags.evaluation import Change
from stream_app.core.flags.standing import CODE_OF
from stream_app.core.messages import ROLES, Flag, FlagType
from stream_app.core.state.ledger import Ledger
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ports import Meter
from stream_app.engine.rounds.standing_records import flag_of, look_at, packed

_ENCODER = msgspec.json.Encoder()


class StandingLog(Protocol):
    """Where standings are kept: a table, by partition."""

    def write(self, partition: int, key: bytes, value: bytes | None, kept: bytes | None = None) -> None:
        """Set a key, or delete it (None); `kept`: the value as it is kept in memory."""


class EvaluationMoment(NamedTuple):
    """When and under which settings an evaluation took place."""

    window_start: int
    window_end: int
    event_time: int
    detected_at: int
    settings_version: str


def standing_key(flag: Flag) -> bytes:
    """The key of a standing: user, topic, population and role as a JSON array."""
    return _ENCODER.encode((flag.user_id, flag.topic, flag.population, flag.role))


def raised_by(change: Change, rank: int, moment: EvaluationMoment) -> Flag:
    """The flag that a change raises."""
    what = (change.user, *change.scope, change.role, change.type, moment.event_time, moment.detected_at)
    return Flag(
        flag_id=xxh3_128_hexdigest(_ENCODER.encode(what)),
        topic=change.scope.topic,
        population=change.scope.population,
        user_id=change.user,
        rank=rank,
        type=change.type,
        role=change.role,
        rule=change.rule,
        value=change.value,
        threshold=change.threshold,
        share=change.share,
        short_rate=change.short_rate,
        long_rate=change.long_rate,
        rate_error=change.rate_error,
        z=change.z,
        events=change.events,
        eta_s=change.eta_s,
        window_start=moment.window_start,
        window_end=moment.window_end,
        event_time=moment.event_time,
        detected_at=moment.detected_at,
        settings_version=moment.settings_version,
    )


class FlagOutbox:
    """Sends what evaluations find."""

    def __init__(
        self, log: StandingLog, output: OutputTopics, meter: Meter, tell: Callable[[int, list[Flag]], None]
    ) -> None:
        self._log = log
        self._output = output
        self._meter = meter
        self._tell = tell
        self._latest: dict[int, int] = {}

    async def raise_flags(self, partition: int, flags: Sequence[Flag]) -> None:
        """Make the standings durable, then send the flags."""
        flags = self._in_order(partition, flags)
        encoded = [_ENCODER.encode(flag) for flag in flags]
        for flag, value in zip(flags, encoded, strict=True):
            self._log.write(partition, standing_key(flag), value, packed(flag))
        await self._output.flush()
        await self._send(partition, flags, encoded)
        for (flag_type, role), n in Counter((flag.type, flag.role) for flag in flags).items():
            self._meter.flags(flag_type, role, n)

    async def take_over(self, partition: int, stored: Mapping[bytes, bytes], ledger: Ledger) -> None:
        """Take up the standings that are `stored`, and send the flags that may not have been sent."""
        flags = list(map(look_at, stored.values()))
        scopes = ledger.scopes.add([(flag.population, flag.topic) for flag in flags])
        users = ledger.users.add([flag.user_id for flag in flags])
        roles = np.array([ROLES.index(flag.role) for flag in flags], np.int64)
        rows = ledger.rows.rows(scopes, users)
        ledger.rows.standings[roles, rows] = [CODE_OF[flag.type] for flag in flags]
        ledger.rows.touched[rows] = True
        latest = self._latest[partition] = max((flag.detected_at for flag in flags), default=0)
        unsure = [
            flag_of(kept) for kept, flag in zip(stored.values(), flags, strict=True) if flag.detected_at == latest
        ]
        await self._send(partition, unsure, [_ENCODER.encode(flag) for flag in unsure])

    def _in_order(self, partition: int, flags: Sequence[Flag]) -> list[Flag]:
        """The flags with a time of detection after all before, whatever the clock says: it tells what came last."""
        earliest = self._latest.get(partition, 0) + 1
        timed = [
            flag if flag.detected_at >= earliest else msgspec.structs.replace(flag, detected_at=earliest)
            for flag in flags
        ]
        self._latest[partition] = max((flag.detected_at for flag in timed), default=earliest)
        return timed

    async def _send(self, partition: int, flags: Sequence[Flag], encoded: Sequence[bytes]) -> None:
        if not flags:
            return
        self._output.flags(partition, [flag.user_id for flag in flags], encoded)
        await self._output.flush()
        for flag in flags:
            if flag.type is FlagType.LEFT:
                self._log.write(partition, standing_key(flag), None)
        self._tell(partition, list(flags))
