"""What has been sent, what is held, and what is still to be sent, from the records of the state topic. No I/O.

A restart reads the last record of every key, in the order of their last writes. So records may be applied in any order.
"""

from collections import defaultdict
from operator import attrgetter

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.rules import HOUR_MS
from stream_app.alerts.state.state_records import (
    DIGEST_PREFIX,
    FLAG_PREFIX,
    HELD_FOR_DIGEST,
    LEADER_KEY,
    OFFSETS_KEY,
    DigestRecord,
    FlagRecord,
    OffsetsRecord,
    StateRecord,
)
from stream_app.core.messages import Flag, FlagType

Lane = tuple[str, bool]
"""A rule, and whether it is about emerging users: no cooldown or limit that others have used up holds those back."""


def lane_of(rule: str, flag: Flag) -> Lane:
    """Return in which lane of a rule a flag is sent."""
    return rule, flag.type is FlagType.EMERGING


class NotificationState:
    """The state topic in memory: the records of this instance and of those that led before."""

    def __init__(self, file: AlertsFile) -> None:
        self.file = file
        self.flags: dict[str, FlagRecord] = {}
        """By flag_id."""
        self.digests: dict[str, DigestRecord] = {}
        """By key."""
        self.offsets: dict[int, int] | None = None
        """None at the very first start."""
        self._last_number = 0
        self._last_message_ms: dict[tuple[Lane, str], int] = {}
        """By lane and user: when the last message was decided."""
        self._sent_ms: dict[Lane, list[int]] = defaultdict(list)
        """By lane: when messages were decided, at least those of the last hour."""
        self._held: dict[str, dict[str, FlagRecord]] = defaultdict(dict)
        """By rule and flag_id: the flags that are not in a digest yet, and those of digests until `expired`."""
        self._pending: dict[str, dict[str, None]] = defaultdict(dict)
        """By sink: the keys of flags and digests."""
        self._due_ms: dict[str, int] = {}
        """By rule: when the digest of the flags it holds is due."""
        self._last_in_digest: dict[str, int] = defaultdict(int)
        """By rule: the highest number that a digest covers."""

    def apply(self, key: str, record: StateRecord | None) -> None:
        """Apply a record; None if its key was deleted."""
        if key in {LEADER_KEY, OFFSETS_KEY}:
            if isinstance(record, OffsetsRecord):
                self.offsets = dict(record.offsets)
        elif record is None:
            self.forget(key)
        elif isinstance(record, FlagRecord):
            self._apply_flag(key.removeprefix(FLAG_PREFIX), record)
        elif isinstance(record, DigestRecord):
            self._apply_digest(key, record)

    def next_number(self) -> int:
        """The number of the next flag or digest."""
        return self._last_number + 1

    def in_cooldown(self, lane: Lane, user: str, cooldown_ms: int, now_ms: int) -> bool:
        """Whether a message about the user was sent in the lane within the cooldown."""
        last_ms = self._last_message_ms.get((lane, user))
        return last_ms is not None and now_ms - last_ms < cooldown_ms

    def sent_in_last_hour(self, lane: Lane, now_ms: int) -> int:
        """The messages of the lane in the last 60 minutes, without digests."""
        recent = self._sent_ms[lane] = [at for at in self._sent_ms[lane] if now_ms - at < HOUR_MS]
        return len(recent)

    def held(self, rule: str) -> dict[str, FlagRecord]:
        """The flags that wait for the next digest of the rule, by flag_id."""
        last = self._last_in_digest[rule]
        return {flag_id: record for flag_id, record in self._held[rule].items() if record.number > last}

    def due_ms(self) -> dict[str, int]:
        """When the next digest of each rule that holds flags is due; also of rules that are gone from the file."""
        return dict(self._due_ms)

    def flags_in(self, digest: DigestRecord, sink: str) -> list[Flag]:
        """The flags of a digest for one sink, without those of people who have been erased since."""
        return [
            record.flag
            for record in sorted(self._held[digest.rule].values(), key=attrgetter("number"))
            if digest.first <= record.number <= digest.last
            and any(decision.rule == digest.rule and sink in decision.sinks for decision in record.decisions)
        ]

    def pending(self, sink: str) -> list[str]:
        """The keys of the messages that the sink has not received, roughly the oldest first."""
        return list(self._pending[sink])

    def sinks_with_pending(self) -> list[str]:
        """The sinks that have not received everything; also sinks that are gone from the file."""
        return [sink for sink, keys in self._pending.items() if keys]

    def record(self, key: str) -> FlagRecord | DigestRecord | None:
        """The flag or digest with that key; None if there is none."""
        return self.digests.get(key) if key.startswith(DIGEST_PREFIX) else self.flags.get(key.removeprefix(FLAG_PREFIX))

    def expired(self, now_ms: int) -> list[str]:
        """The keys that are not needed any more."""
        self._drop_digested()
        held = {flag_id for records in self._held.values() for flag_id in records}
        flags = [
            FLAG_PREFIX + flag_id
            for flag_id, record in self.flags.items()
            if record.keep_until_ms <= now_ms and not record.pending and flag_id not in held
        ]
        # The last digest of each rule stays: it says which flags digests cover.
        last = {digest.rule: key for key, digest in sorted(self.digests.items(), key=lambda item: item[1].number)}
        digests = [key for key, digest in self.digests.items() if not digest.pending and key not in last.values()]
        return [*flags, *digests]

    def forget(self, key: str) -> None:
        """Remove a flag or a digest, and what follows from it."""
        self._set_pending(key, ())
        if key.startswith(DIGEST_PREFIX):
            self.digests.pop(key, None)
            return
        flag_id = key.removeprefix(FLAG_PREFIX)
        record = self.flags.pop(flag_id, None)
        if record is None:
            return
        for decision in record.decisions:
            if self._held[decision.rule].pop(flag_id, None) and not self.held(decision.rule):
                self._due_ms.pop(decision.rule, None)
            place = (lane_of(decision.rule, record.flag), record.flag.user_id)
            if self._last_message_ms.get(place) == record.decided_ms:
                del self._last_message_ms[place]

    def _apply_flag(self, flag_id: str, record: FlagRecord) -> None:
        is_new = flag_id not in self.flags
        self.flags[flag_id] = record
        self._set_pending(FLAG_PREFIX + flag_id, record.pending)
        self._last_number = max(self._last_number, record.number)
        for decision in record.decisions:
            if decision.action == "cooldown":
                continue
            lane = lane_of(decision.rule, record.flag)
            last_ms = self._last_message_ms.get((lane, record.flag.user_id), 0)
            self._last_message_ms[lane, record.flag.user_id] = max(last_ms, record.decided_ms)
            if decision.action == "send" and is_new:
                self._sent_ms[lane].append(record.decided_ms)
            if decision.action in HELD_FOR_DIGEST:
                self._held[decision.rule][flag_id] = record
                if record.number > self._last_in_digest[decision.rule]:
                    due_ms = self._due_ms.get(decision.rule, decision.due_ms)
                    self._due_ms[decision.rule] = min(decision.due_ms, due_ms)

    def _apply_digest(self, key: str, digest: DigestRecord) -> None:
        self.digests[key] = digest
        self._set_pending(key, digest.pending)
        self._last_number = max(self._last_number, digest.number)
        if digest.last > self._last_in_digest[digest.rule]:
            self._last_in_digest[digest.rule] = digest.last
            self._update_due(digest.rule)

    def _update_due(self, rule: str) -> None:
        due_ms = [
            decision.due_ms
            for record in self.held(rule).values()
            for decision in record.decisions
            if decision.rule == rule and decision.action in HELD_FOR_DIGEST
        ]
        self._due_ms.pop(rule, None)
        if due_ms:
            self._due_ms[rule] = min(due_ms)

    def _set_pending(self, key: str, sinks: tuple[str, ...]) -> None:
        for sink in sinks:
            self._pending[sink].setdefault(key)
        for sink, keys in self._pending.items():
            if sink not in sinks:
                keys.pop(key, None)

    def _drop_digested(self) -> None:
        """Drop the flags of delivered digests; only now, because a digest in progress may be applied after others."""
        for rule, records in self._held.items():
            last = self._last_in_digest[rule]
            unsent = [digest for digest in self.digests.values() if digest.rule == rule and digest.pending]
            for flag_id, record in list(records.items()):
                if record.number <= last and not any(one.first <= record.number <= one.last for one in unsent):
                    del records[flag_id]
