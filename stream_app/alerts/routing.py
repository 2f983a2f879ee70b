"""What the rules do with a flag, and when a digest is due: functions of state, file and time. No I/O, no clock."""

from operator import attrgetter
from typing import Literal, NamedTuple

from stream_app.alerts.rules import HOUR_MS, AlertRule
from stream_app.alerts.state.notifications import NotificationState, lane_of
from stream_app.alerts.state.state_records import DIGEST_PREFIX, DigestRecord, FlagRecord, RuleAction, RuleDecision
from stream_app.core.messages import Flag


class Dropped(NamedTuple):
    """A flag of which no record is kept, and why."""

    reason: Literal["no rule", "repeat", "too old"]


def decide(flag: Flag, state: NotificationState, now_ms: int) -> FlagRecord | Dropped:
    """What the rules do with the flag at `now_ms`. Does not change the state: apply the record once it is written."""
    file = state.file
    matching = [rule for rule in file.rules if rule.matches(flag)]
    if not matching:
        return Dropped("no rule")
    if flag.flag_id in state.flags:
        return Dropped("repeat")
    if now_ms - flag.detected_at > file.max_age_ms:
        return Dropped("too old")
    decisions: list[RuleDecision] = []
    decided: set[str] = set()
    for rule in matching:
        if sinks := tuple(sink for sink in dict.fromkeys(rule.sinks) if sink not in decided):
            decided.update(sinks)
            action, due_ms = _action(rule, flag, state, now_ms)
            decisions.append(RuleDecision(rule=rule.name, action=action, sinks=sinks, due_ms=due_ms))
    return FlagRecord(
        number=state.next_number(),
        decided_ms=now_ms,
        keep_until_ms=now_ms + max(file.max_age_ms, *(rule.cooldown_ms for rule in matching)),
        decisions=tuple(decisions),
        flag=flag,
        pending=tuple(sink for decision in decisions if decision.action == "send" for sink in decision.sinks),
    )


def due_digests(state: NotificationState, now_ms: int) -> dict[str, DigestRecord]:
    """The digests to send at `now_ms`, by key. Does not change the state: apply them once they are written."""
    digests: dict[str, DigestRecord] = {}
    for due_ms, name in sorted((due_ms, name) for name, due_ms in digests_due_ms(state).items()):
        if due_ms > now_ms:
            break
        records = sorted(state.held(name).values(), key=attrgetter("number"))
        sinks = dict.fromkeys(
            sink
            for record in records
            for decision in record.decisions
            if decision.rule == name
            for sink in decision.sinks
        )
        number = state.next_number() + len(digests)
        digests[f"{DIGEST_PREFIX}{number}"] = DigestRecord(
            rule=name,
            number=number,
            first=records[0].number,
            last=records[-1].number,
            made_ms=now_ms,
            pending=tuple(sinks),
        )
    return digests


def digests_due_ms(state: NotificationState) -> dict[str, int]:
    """When the next digest is sent, by rule: never in quiet hours."""
    rules = {name: state.file.rule(name) for name in state.due_ms()}
    return {name: rule.quiet_until_ms(ms) if (rule := rules[name]) else ms for name, ms in state.due_ms().items()}


def _action(rule: AlertRule, flag: Flag, state: NotificationState, now_ms: int) -> tuple[RuleAction, int]:
    """The action, and when the digest is due if the flag is held for one."""
    lane = lane_of(rule.name, flag)
    if state.in_cooldown(lane, flag.user_id, rule.cooldown_ms, now_ms):
        return "cooldown", 0
    if (quiet_until_ms := rule.quiet_until_ms(now_ms)) > now_ms:
        return "quiet", quiet_until_ms
    if state.sent_in_last_hour(lane, now_ms) >= rule.per_hour:
        return "limit", now_ms + HOUR_MS
    return "send", 0
