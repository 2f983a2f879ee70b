"""What the rules do with flags: cooldown, limits, digests, quiet hours; and a state whose records come in any order."""

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.alerts.config import AlertsFile, Sink, WebhookSink
from stream_app.alerts.dry_run import dry_run
from stream_app.alerts.routing import Dropped, decide, due_digests
from stream_app.alerts.rules import AlertRule, QuietHours
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import FLAG_PREFIX, DigestRecord, FlagRecord
from stream_app.core.messages import Flag, FlagType, Reason
from tests.unit.alerts.parts import a_flag

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
START_MS = 1_770_000_000_000  # 02:40 UTC
SINKS: dict[str, Sink] = {name: WebhookSink() for name in ("chat", "mail", "crm")}


def a_file(*rules: dict[str, Any]) -> AlertsFile:
    made = tuple(AlertRule(**{"name": f"r{n}", "sinks": ("chat",), **rule}) for n, rule in enumerate(rules, 1))
    return AlertsFile(sinks=SINKS, rules=made)


def flag(number: int, minutes: float = 0, **given: Any) -> Flag:
    return a_flag(f"f{number}", detected_at=START_MS + round(minutes * MINUTE_MS), **given)


def steps(file: AlertsFile, *flags: Flag) -> list[tuple[float, str, str]]:
    """The steps of a dry run: minutes, action, and the flag_ids."""
    found = dry_run(file, flags)
    return [
        ((step.at_ms - START_MS) / MINUTE_MS, step.action, " ".join(sorted(one.flag_id for one in step.message.flags)))
        for step in found
    ]


def test_a_user_is_sent_once_within_the_cooldown_and_other_users_are_sent() -> None:
    ann = {"user_id": "ann"}
    flags = [flag(1, 0, **ann), flag(2, 30, **ann), flag(3, 31), flag(4, 60, **ann)]
    assert steps(a_file({"cooldown": "1h"}), *flags) == [
        (0, "send", "f1"),
        (30, "cooldown", "f2"),
        (31, "send", "f3"),
        (60, "send", "f4"),
    ]


def test_who_emerges_is_not_held_back_by_what_was_sent_about_entries() -> None:
    ann = {"user_id": "ann"}
    entered = {"type": FlagType.ENTERED, "reason": Reason.ROSE}
    flags = [flag(1, 0, **ann, **entered), flag(2, 1, **ann), flag(3, 2, **ann, **entered), flag(4, 3, **ann)]
    assert steps(a_file({"cooldown": "1h", "per_hour": 1}), *flags, flag(5, 4)) == [
        (0, "send", "f1"),
        (1, "send", "f2"),
        (2, "cooldown", "f3"),
        (3, "cooldown", "f4"),
        (4, "limit", "f5"),
        (64, "digest", "f5"),
    ]


def test_flags_over_the_limit_go_in_one_digest_an_hour_after_the_first_of_them() -> None:
    flags = [flag(n, n) for n in range(1, 6)]
    assert steps(a_file({"per_hour": 2}), *flags, flag(6, 70)) == [
        (1, "send", "f1"),
        (2, "send", "f2"),
        (3, "limit", "f3"),
        (4, "limit", "f4"),
        (5, "limit", "f5"),
        (63, "digest", "f3 f4 f5"),
        (70, "send", "f6"),
    ]


def test_in_no_sixty_minutes_are_there_more_messages_than_allowed() -> None:
    flags = [flag(n, n * 7) for n in range(100)]
    sent = [at for at, action, _ in steps(a_file({"per_hour": 3}), *flags) if action == "send"]
    assert len(sent) > 20
    assert all(sum(at <= other < at + 60 for other in sent) <= 3 for at in sent)


def test_flags_in_quiet_hours_go_in_one_digest_at_their_end_and_so_does_a_digest_that_is_due_then() -> None:
    quiet = QuietHours(start="03:00", end="05:00", zone="UTC")  # from minute 20 to minute 140
    flags = [flag(1, 0), flag(2, 1), flag(3, 30), flag(4, 139), flag(5, 140)]
    assert steps(a_file({"per_hour": 1, "quiet": quiet}), *flags) == [
        (0, "send", "f1"),
        (1, "limit", "f2"),
        (30, "quiet", "f3"),
        (139, "quiet", "f4"),
        (140, "digest", "f2 f3 f4"),
        (140, "send", "f5"),
    ]


def test_the_first_rule_that_names_a_sink_decides_about_it_even_if_it_holds_the_flag_back() -> None:
    file = a_file(
        {"topics": ("phone",), "per_hour": 1, "sinks": ("chat",)},
        {"sinks": ("chat", "mail")},
    )
    found = [
        (step.action, step.rule, step.sinks, step.message.flags[0].flag_id)
        for step in dry_run(file, [flag(1), flag(2, 1)])
    ]
    assert found == [
        ("send", "r1", ("chat",), "f1"),
        ("send", "r2", ("mail",), "f1"),
        ("limit", "r1", ("chat",), "f2"),
        ("send", "r2", ("mail",), "f2"),
        ("digest", "r1", ("chat",), "f2"),
    ]


def test_a_repeat_however_late_and_a_flag_that_is_too_old_are_dropped() -> None:
    state = NotificationState(a_file({"cooldown": "1m"}))
    decided = decide(flag(1), state, START_MS)
    assert isinstance(decided, FlagRecord)
    state.apply(FLAG_PREFIX + "f1", msgspec.structs.replace(decided, pending=()))
    assert decide(flag(1), state, START_MS + 23 * HOUR_MS) == Dropped("repeat")
    late_ms = START_MS + 24 * HOUR_MS + 1
    assert state.expired(late_ms) == [FLAG_PREFIX + "f1"]
    state.forget(FLAG_PREFIX + "f1")
    assert decide(flag(1), state, late_ms) == Dropped("too old")
    assert decide(flag(2, type=FlagType.LEFT), state, START_MS) == Dropped("no rule")


def test_a_record_is_kept_for_its_cooldown_and_a_delayed_one_for_longer() -> None:
    state = NotificationState(a_file({"cooldown": "3d", "per_hour": 1}))
    for number in (1, 2):
        decided = decide(flag(number), state, START_MS)
        assert isinstance(decided, FlagRecord)
        state.apply(f"{FLAG_PREFIX}f{number}", decided)
    assert state.expired(START_MS + 71 * HOUR_MS) == []
    sent = msgspec.structs.replace(state.flags["f1"], pending=())
    state.apply(FLAG_PREFIX + "f1", sent)
    assert state.expired(START_MS + 73 * HOUR_MS) == [FLAG_PREFIX + "f1"]


def test_an_erased_person_is_in_no_digest() -> None:
    state = NotificationState(a_file({"per_hour": 1}))
    for number in range(4):
        decided = decide(flag(number), state, START_MS)
        assert isinstance(decided, FlagRecord)
        state.apply(f"{FLAG_PREFIX}f{number}", decided)
    ((key, digest),) = due_digests(state, START_MS + 2 * HOUR_MS).items()
    state.apply(key, digest)
    state.forget(FLAG_PREFIX + "f2")
    assert [one.flag_id for one in state.flags_in(digest, "chat")] == ["f1", "f3"]


@settings(max_examples=60)
@given(st.data())
def test_the_state_is_the_same_in_every_order_of_its_records(data: st.DataObject) -> None:
    """A restart reads the last record of every key, in the order in which these were last written."""
    kinds: list[dict[str, Any]] = [{"per_hour": 1, "topics": ("tea",)}, {"per_hour": 3, "cooldown": "20m"}]
    file = a_file(*({**kind, "sinks": ("chat", "mail")} for kind in data.draw(st.permutations(kinds))))
    live, topic = NotificationState(file), dict[str, bytes]()
    chance = random.Random(data.draw(st.integers(0, 10_000)))

    def write(key: str, record: FlagRecord | DigestRecord) -> None:
        topic.pop(key, None)
        topic[key] = state_records.encode(record)
        live.apply(key, record)

    now_ms = START_MS
    for number in range(data.draw(st.integers(1, 40))):
        now_ms += chance.randrange(25 * MINUTE_MS)
        for key, digest in due_digests(live, now_ms).items():
            write(key, digest)
        about = {"user_id": f"u{chance.randrange(5)}", "topic": chance.choice(("tea", "phone"))}
        one = a_flag(f"f{number}", **about, detected_at=now_ms)
        decided = decide(one, live, now_ms)
        if isinstance(decided, FlagRecord):
            write(f"{FLAG_PREFIX}f{number}", decided)
        for sink in ("chat", "mail"):
            if (keys := live.pending(sink)) and chance.random() < 0.7:
                record = live.record(chance.choice(keys))
                assert record is not None
                key = next(key for key in keys if live.record(key) is record)
                write(key, msgspec.structs.replace(record, pending=tuple(s for s in record.pending if s != sink)))
        if chance.random() < 0.2:
            for key in live.expired(now_ms):
                topic.pop(key, None)
                live.forget(key)
    again = NotificationState(file)
    for key, value in topic.items():
        again.apply(key, state_records.decode(key, value))
    assert observable(again, now_ms) == observable(live, now_ms)


def observable(state: NotificationState, now_ms: int) -> object:
    """Everything that makes a difference from now on."""
    later = [a_flag(f"later{n}", user_id=f"u{n}", detected_at=now_ms) for n in range(5)]
    return (
        {sink: sorted(state.pending(sink)) for sink in ("chat", "mail")},
        {rule: sorted(state.held(rule)) for rule in ("r1", "r2")},
        {
            key: [[one.flag_id for one in state.flags_in(digest, sink)] for sink in digest.pending]
            for key, digest in sorted(state.digests.items())
            if digest.pending
        },
        due_digests(state, now_ms + 100 * HOUR_MS),
        [decide(one, state, now_ms) for one in later],
        state.next_number(),
        sorted(state.expired(now_ms + 1000 * HOUR_MS)),
    )
