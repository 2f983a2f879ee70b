"""What is known of the flags told so far, put together from records in any order; and what is to be sent. No I/O."""

from collections import defaultdict

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.rules import HOUR_MS
from stream_app.alerts.state.state_records import (
    DIGEST,
    FLAG,
    OWNER,
    POSITIONS,
    WAITS,
    Digest,
    FlagEntry,
    Positions,
    Record,
)
from stream_app.core.messages import Flag


class NotificationState:
    """Follows every record of the state topic, its own and those of whoever was active before."""

    def __init__(self, file: AlertsFile) -> None:
        self.file = file
        self.entries: dict[str, FlagEntry] = {}
        """By flag_id."""
        self.digests: dict[str, Digest] = {}
        self.positions: dict[int, int] | None = None
        """None at the very first start."""
        self._number = 0
        self._told: dict[tuple[str, str], int] = {}
        """By rule and user: when the last message was decided."""
        self._sent: dict[str, list[int]] = defaultdict(list)
        """By rule: when messages were decided, those of the last hour at least."""
        self._waiting: dict[str, dict[str, FlagEntry]] = defaultdict(dict)
        """By rule and flag_id: what no digest has yet, or one that is under way, or that was until lately."""
        self._pending: dict[str, dict[str, None]] = defaultdict(dict)
        """By sink: the keys of entries and digests."""
        self._due: dict[str, int] = {}
        """By rule: when the first of what waits for a digest is due."""
        self._closed: dict[str, int] = defaultdict(int)
        """By rule: the last number that a digest has."""

    def take(self, key: str, record: Record | None) -> None:
        """Take in a record; None where its key was deleted."""
        if key in {OWNER, POSITIONS}:
            if isinstance(record, Positions):
                self.positions = dict(record.offsets)
        elif record is None:
            self.forget(key)
        elif isinstance(record, FlagEntry):
            self._take_entry(key.removeprefix(FLAG), record)
        elif isinstance(record, Digest):
            self._take_digest(key, record)

    def next_number(self) -> int:
        """The number of the next entry or digest."""
        return self._number + 1

    def knows(self, flag: Flag) -> bool:
        """Whether the flag came before."""
        return flag.flag_id in self.entries

    def is_cooling(self, rule: str, user: str, cooldown_ms: int, now_ms: int) -> bool:
        """Whether the rule has told of the user within the cooldown."""
        told_ms = self._told.get((rule, user))
        return told_ms is not None and now_ms - told_ms < cooldown_ms

    def sent_within_hour(self, rule: str, now_ms: int) -> int:
        """Messages of the rule in the last 60 minutes, digests apart."""
        recent = self._sent[rule] = [at for at in self._sent[rule] if now_ms - at < HOUR_MS]
        return len(recent)

    def waiting(self, rule: str) -> list[tuple[str, FlagEntry]]:
        """What waits for the next digest of the rule, with its flag_id."""
        closed = self._closed[rule]
        return [(flag_id, entry) for flag_id, entry in self._waiting[rule].items() if entry.number > closed]

    def due(self) -> dict[str, int]:
        """When something that waits is due, at the earliest, by rule; among them rules that have gone from the file."""
        return dict(self._due)

    def content(self, digest: Digest, sink: str) -> list[FlagEntry]:
        """What a sink gets with a digest: fewer than there were where people have been erased."""
        return [
            entry
            for entry in self._waiting[digest.rule].values()
            if digest.first <= entry.number <= digest.last
            and any(verdict.rule == digest.rule and sink in verdict.sinks for verdict in entry.verdicts)
        ]

    def pending(self, sink: str) -> list[str]:
        """The keys of the messages that a sink has still to get, the oldest first, about."""
        return list(self._pending[sink])

    def sinks_with_pending(self) -> list[str]:
        """The sinks that have still to get something, among them such as are no longer in the file."""
        return [sink for sink, keys in self._pending.items() if keys]

    def record(self, key: str) -> FlagEntry | Digest | None:
        """The entry or digest with that key; None where it was deleted."""
        return self.digests.get(key) if key.startswith(DIGEST) else self.entries.get(key.removeprefix(FLAG))

    def expired(self, now_ms: int) -> list[str]:
        """The keys of what need not be remembered any more."""
        self._tidy()
        waiting = {flag_id for rule in self._waiting.values() for flag_id in rule}
        entries = [
            FLAG + flag_id
            for flag_id, entry in self.entries.items()
            if entry.keep_until_ms <= now_ms and not entry.pending and flag_id not in waiting
        ]
        # The last digest of a rule stays: it says up to where the flags are told.
        last = {digest.rule: key for key, digest in sorted(self.digests.items(), key=lambda item: item[1].number)}
        done = [key for key, digest in self.digests.items() if not digest.pending and key not in last.values()]
        return [*entries, *done]

    def forget(self, key: str) -> None:
        """Forget an entry or a digest."""
        self._note_pending(key, ())
        if key.startswith(DIGEST):
            self.digests.pop(key, None)
            return
        flag_id = key.removeprefix(FLAG)
        entry = self.entries.pop(flag_id, None)
        for verdict in entry.verdicts if entry else ():
            if self._waiting[verdict.rule].pop(flag_id, None) and not self.waiting(verdict.rule):
                self._due.pop(verdict.rule, None)
            place = (verdict.rule, entry.flag.user_id) if entry else ("", "")
            if entry and self._told.get(place) == entry.decided_ms:
                del self._told[place]

    def _take_entry(self, flag_id: str, entry: FlagEntry) -> None:
        is_new = flag_id not in self.entries
        self.entries[flag_id] = entry
        self._note_pending(FLAG + flag_id, entry.pending)
        self._number = max(self._number, entry.number)
        for verdict in entry.verdicts:
            if verdict.what == "cooldown":
                continue
            place = (verdict.rule, entry.flag.user_id)
            self._told[place] = max(self._told.get(place, 0), entry.decided_ms)
            if verdict.what == "send" and is_new:
                self._sent[verdict.rule].append(entry.decided_ms)
            if verdict.what in WAITS:
                self._waiting[verdict.rule][flag_id] = entry
                if entry.number > self._closed[verdict.rule]:
                    self._due[verdict.rule] = min(verdict.due_ms, self._due.get(verdict.rule, verdict.due_ms))

    def _take_digest(self, key: str, digest: Digest) -> None:
        self.digests[key] = digest
        self._note_pending(key, digest.pending)
        self._number = max(self._number, digest.number)
        if digest.last > self._closed[digest.rule]:
            self._closed[digest.rule] = digest.last
            self._count_due(digest.rule)

    def _count_due(self, rule: str) -> None:
        due = [
            verdict.due_ms
            for _, entry in self.waiting(rule)
            for verdict in entry.verdicts
            if verdict.rule == rule and verdict.what in WAITS
        ]
        self._due.pop(rule, None)
        if due:
            self._due[rule] = min(due)

    def _note_pending(self, key: str, sinks: tuple[str, ...]) -> None:
        for sink in sinks:
            self._pending[sink].setdefault(key)
        for sink, keys in self._pending.items():
            if sink not in sinks:
                keys.pop(key, None)

    def _tidy(self) -> None:
        """Let go of what digests have told. Not at once: records come in any order, a digest under way after others."""
        for rule, kept in self._waiting.items():
            closed = self._closed[rule]
            open_ = [digest for digest in self.digests.values() if digest.rule == rule and digest.pending]
            for flag_id, entry in list(kept.items()):
                if entry.number <= closed and not any(one.first <= entry.number <= one.last for one in open_):
                    del kept[flag_id]
