"""What becomes of a flag, and when a digest is due: functions of state, file and time. No I/O, no clock."""

from typing import NamedTuple

from stream_app.alerts.rules import HOUR_MS, AlertRule
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import DIGEST, Digest, FlagEntry, Verdict, What
from stream_app.core.messages import Flag


class Passed(NamedTuple):
    """A flag that nothing is remembered of, and why: `no rule`, `repeat` or `too old`."""

    why: str


def decide(flag: Flag, state: NotificationState, now_ms: int) -> FlagEntry | Passed:
    """What becomes of the flag at `now_ms`. The state is as before: it is to take the entry once that is written."""
    file = state.file
    fitting = [rule for rule in file.rules if rule.fits(flag)]
    if not fitting:
        return Passed("no rule")
    if state.knows(flag):
        return Passed("repeat")
    if now_ms - flag.detected_at > file.max_age_ms:
        return Passed("too old")
    verdicts: list[Verdict] = []
    decided: set[str] = set()
    for rule in fitting:
        if sinks := tuple(sink for sink in dict.fromkeys(rule.sinks) if sink not in decided):
            decided.update(sinks)
            what, due_ms = _judged(rule, flag, state, now_ms)
            verdicts.append(Verdict(rule=rule.name, what=what, sinks=sinks, due_ms=due_ms))
    return FlagEntry(
        number=state.next_number(),
        decided_ms=now_ms,
        keep_until_ms=now_ms + max(file.max_age_ms, *(rule.cooldown_ms for rule in fitting)),
        verdicts=tuple(verdicts),
        flag=flag,
        pending=tuple(sink for verdict in verdicts if verdict.what == "send" for sink in verdict.sinks),
    )


def due_digests(state: NotificationState, now_ms: int) -> dict[str, Digest]:
    """The digests to be sent at `now_ms`, by key. The state is to take them once they are written."""
    made: dict[str, Digest] = {}
    for name, due_ms in digests_due_ms(state).items():
        if due_ms > now_ms:
            continue
        entries = [entry for _, entry in state.waiting(name)]
        sinks = dict.fromkeys(
            sink for entry in entries for verdict in entry.verdicts if verdict.rule == name for sink in verdict.sinks
        )
        number = state.next_number() + len(made)
        made[f"{DIGEST}{number}"] = Digest(
            rule=name,
            number=number,
            first=min(entry.number for entry in entries),
            last=max(entry.number for entry in entries),
            made_ms=now_ms,
            pending=tuple(sinks),
        )
    return made


def digests_due_ms(state: NotificationState) -> dict[str, int]:
    """When the digest of what waits goes, by rule: never in quiet hours."""
    rules = {name: state.file.rule(name) for name in state.due()}
    return {name: rule.loud_from_ms(ms) if (rule := rules[name]) else ms for name, ms in state.due().items()}


def _judged(rule: AlertRule, flag: Flag, state: NotificationState, now_ms: int) -> tuple[What, int]:
    if state.is_cooling(rule.name, flag.user_id, rule.cooldown_ms, now_ms):
        return "cooldown", 0
    if (loud_ms := rule.loud_from_ms(now_ms)) > now_ms:
        return "quiet", loud_ms
    if state.sent_within_hour(rule.name, now_ms) >= rule.per_hour:
        return "limit", now_ms + HOUR_MS
    return "send", 0
