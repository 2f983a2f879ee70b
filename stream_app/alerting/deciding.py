"""What becomes of a flag, and when a digest is due: functions of state, file and time. No I/O, no clock."""

from typing import NamedTuple

from stream_app.alerting.entries import DIGEST, WAITS, Digest, Entry, Verdict, What
from stream_app.alerting.rules import HOUR_MS, Rule
from stream_app.alerting.state import State
from stream_app.core.messages import Flag


class Passed(NamedTuple):
    """A flag that nothing is remembered of, and why: `no rule`, `repeat` or `too old`."""

    why: str


def decide(flag: Flag, state: State, now_ms: int) -> Entry | Passed:
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
    return Entry(
        number=state.next_number(),
        decided_ms=now_ms,
        keep_until_ms=now_ms + max(file.max_age_ms, *(rule.cooldown_ms for rule in fitting)),
        verdicts=tuple(verdicts),
        flag=flag,
        pending=tuple(sink for verdict in verdicts if verdict.what == "send" for sink in verdict.sinks),
    )


def due_digests(state: State, now_ms: int) -> dict[str, Digest]:
    """The digests to be sent at `now_ms`, by key. The state is to take them once they are written."""
    made: dict[str, Digest] = {}
    for name in state.rules_with_waiting():
        entries = [entry for _, entry in state.waiting(name)]
        if next_due_ms(state, name) > now_ms:
            continue
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


def next_due_ms(state: State, rule: str) -> int:
    """When the digest of what waits for a rule goes, which something must: never in quiet hours."""
    first = min(
        verdict.due_ms
        for _, entry in state.waiting(rule)
        for verdict in entry.verdicts
        if verdict.rule == rule and verdict.what in WAITS
    )
    known = state.file.rule(rule)
    return known.loud_from_ms(first) if known else first


def _judged(rule: Rule, flag: Flag, state: State, now_ms: int) -> tuple[What, int]:
    if state.is_cooling(rule.name, flag.user_id, rule.cooldown_ms, now_ms):
        return "cooldown", 0
    if (loud_ms := rule.loud_from_ms(now_ms)) > now_ms:
        return "quiet", loud_ms
    if state.sent_within_hour(rule.name, now_ms) >= rule.per_hour:
        return "limit", now_ms + HOUR_MS
    return "send", 0
