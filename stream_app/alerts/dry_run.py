"""What the rules would have sent of past flags: the same decisions, at the time at which each flag was raised."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.routing import Dropped, decide, digests_due_ms, due_digests
from stream_app.alerts.sinks.message import AlertMessage, message_of
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import DIGEST_PREFIX, FLAG_PREFIX, DigestRecord, FlagRecord
from stream_app.core.messages import Flag


class DryRunStep(NamedTuple):
    """A message that would have been sent, or a flag that would have been held back."""

    at_ms: int
    action: str
    """send, digest, or why a flag is held back: cooldown, limit, quiet, repeat, too old."""
    rule: str
    sinks: tuple[str, ...]
    message: AlertMessage
    """For a flag that is held back: the message about it alone."""


def dry_run(file: AlertsFile, flags: Iterable[Flag]) -> Iterator[DryRunStep]:
    """The steps in the order of time; flags that match no rule are left out."""
    state = NotificationState(file)
    for flag in sorted(flags, key=lambda one: (one.detected_at, one.flag_id)):
        yield from _digests(state, flag.detected_at)
        decided = decide(flag, state, flag.detected_at)
        message = message_of("", "", [flag])
        if isinstance(decided, FlagRecord):
            state.apply(FLAG_PREFIX + flag.flag_id, decided)
            for decision in decided.decisions:
                yield DryRunStep(flag.detected_at, decision.action, decision.rule, decision.sinks, message)
        elif decided != Dropped("no rule"):
            yield DryRunStep(flag.detected_at, decided.reason, "", (), message)
    yield from _digests(state, None)


def _digests(state: NotificationState, until_ms: int | None) -> Iterator[DryRunStep]:
    """The digests that are due by then, or all; each at its time."""
    while due := digests_due_ms(state).values():
        at_ms = min(due)
        if until_ms is not None and at_ms > until_ms:
            return
        for key, digest in due_digests(state, at_ms).items():
            state.apply(key, digest)
            yield from _digest_steps(state, key, digest)


def _digest_steps(state: NotificationState, key: str, digest: DigestRecord) -> Iterator[DryRunStep]:
    """One step for each sink: a digest leaves out the flags that another rule has sent to the sink."""
    for sink in digest.pending:
        message = message_of(key.removeprefix(DIGEST_PREFIX), digest.rule, state.flags_in(digest, sink))
        yield DryRunStep(digest.made_ms, "digest", digest.rule, (sink,), message)
