"""What would have been sent of flags of the past: the same decisions, at the time at which each flag was raised."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.routing import Passed, decide, digests_due_ms, due_digests
from stream_app.alerts.sinks.message import AlertMessage, message_of
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import DIGEST, FLAG, Digest, FlagEntry
from stream_app.core.messages import Flag


class Act(NamedTuple):
    """A message that would have gone out, or a flag that would have been held back."""

    at_ms: int
    what: str
    """send, digest, or why a flag is held back: cooldown, limit, quiet, repeat."""
    rule: str
    sinks: tuple[str, ...]
    message: AlertMessage
    """Of a flag that is held back: the message about it alone."""


def rehearse(file: AlertsFile, flags: Iterable[Flag]) -> Iterator[Act]:
    """What would have become of the flags, in the order of time; flags that fit no rule are left out."""
    state = NotificationState(file)
    for flag in sorted(flags, key=lambda one: (one.detected_at, one.flag_id)):
        yield from _digests(state, flag.detected_at)
        made = decide(flag, state, flag.detected_at)
        alone = message_of("", "", [flag])
        if isinstance(made, FlagEntry):
            state.take(FLAG + flag.flag_id, made)
            for verdict in made.verdicts:
                yield Act(flag.detected_at, verdict.what, verdict.rule, verdict.sinks, alone)
        elif made != Passed("no rule"):
            yield Act(flag.detected_at, made.why, "", (), alone)
    yield from _digests(state, None)


def _digests(state: NotificationState, until_ms: int | None) -> Iterator[Act]:
    """Those that are due by then, all where there is no end; each at its time."""
    while due := digests_due_ms(state).values():
        at_ms = min(due)
        if until_ms is not None and at_ms > until_ms:
            return
        for key, digest in due_digests(state, at_ms).items():
            state.take(key, digest)
            yield from _acts(state, key, digest)


def _acts(state: NotificationState, key: str, digest: Digest) -> Iterator[Act]:
    """By what the sinks get, which differs where another rule has told one of them of a flag."""
    for sink in digest.pending:
        flags = [entry.flag for entry in state.content(digest, sink)]
        message = message_of(key.removeprefix(DIGEST), digest.rule, flags)
        yield Act(digest.made_ms, "digest", digest.rule, (sink,), message)
