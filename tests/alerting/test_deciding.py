"""What becomes of flags: cooldown, limits, digests, quiet hours; and a state that is read in any order."""

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.alerts.config import AlertsFile, Sink, WebhookSink
from stream_app.alerts.dry_run import rehearse
from stream_app.alerts.routing import Passed, decide, due_digests
from stream_app.alerts.rules import AlertRule, Quiet
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import FLAG, Digest, FlagEntry
from stream_app.core.messages import Flag, FlagType
from tests.alerting.parts import a_flag

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
START_MS = 1_770_000_000_000  # 02:40 UTC
SINKS: dict[str, Sink] = {name: WebhookSink() for name in ("chat", "mail", "crm")}


def a_file(*rules: dict[str, Any]) -> AlertsFile:
    made = tuple(AlertRule(**{"name": f"r{n}", "sinks": ("chat",), **rule}) for n, rule in enumerate(rules, 1))
    return AlertsFile(sinks=SINKS, rules=made)


def flag(number: int, minutes: float = 0, **given: Any) -> Flag:
    return a_flag(f"f{number}", detected_at=START_MS + round(minutes * MINUTE_MS), **given)


def told(file: AlertsFile, *flags: Flag) -> list[tuple[float, str, str]]:
    """What becomes of flags: minutes, what, and the ids."""
    acts = rehearse(file, flags)
    return [
        ((act.at_ms - START_MS) / MINUTE_MS, act.what, " ".join(sorted(one.flag_id for one in act.message.flags)))
        for act in acts
    ]


def test_a_user_is_told_of_once_within_the_cooldown_and_others_are_not_held_back() -> None:
    ann = {"user_id": "ann"}
    flags = [flag(1, 0, **ann), flag(2, 30, **ann), flag(3, 31), flag(4, 60, **ann)]
    assert told(a_file({"cooldown": "1h"}), *flags) == [
        (0, "send", "f1"),
        (30, "cooldown", "f2"),
        (31, "send", "f3"),
        (60, "send", "f4"),
    ]


def test_what_is_over_the_limit_goes_in_one_digest_an_hour_after_the_first_of_it() -> None:
    flags = [flag(n, n) for n in range(1, 6)]
    assert told(a_file({"per_hour": 2}), *flags, flag(6, 70)) == [
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
    sent = [at for at, what, _ in told(a_file({"per_hour": 3}), *flags) if what == "send"]
    assert len(sent) > 20
    assert all(sum(at <= other < at + 60 for other in sent) <= 3 for at in sent)


def test_what_comes_in_quiet_hours_goes_in_one_digest_at_their_end_and_a_digest_that_is_due_then_waits_too() -> None:
    quiet = Quiet(start="03:00", end="05:00", zone="UTC")  # from minute 20 to minute 140
    flags = [flag(1, 0), flag(2, 1), flag(3, 30), flag(4, 139), flag(5, 140)]
    assert told(a_file({"per_hour": 1, "quiet": quiet}), *flags) == [
        (0, "send", "f1"),
        (1, "limit", "f2"),
        (30, "quiet", "f3"),
        (139, "quiet", "f4"),
        (140, "digest", "f2 f3 f4"),
        (140, "send", "f5"),
    ]


def test_the_first_rule_that_names_a_sink_decides_about_it_also_where_it_holds_the_flag_back() -> None:
    file = a_file(
        {"topics": ("phone",), "per_hour": 1, "sinks": ("chat",)},
        {"sinks": ("chat", "mail")},
    )
    acts = [
        (act.what, act.rule, act.sinks, act.message.flags[0].flag_id) for act in rehearse(file, [flag(1), flag(2, 1)])
    ]
    assert acts == [
        ("send", "r1", ("chat",), "f1"),
        ("send", "r2", ("mail",), "f1"),
        ("limit", "r1", ("chat",), "f2"),
        ("send", "r2", ("mail",), "f2"),
        ("digest", "r1", ("chat",), "f2"),
    ]


def test_a_repeat_however_late_and_a_flag_that_is_too_old_are_dropped() -> None:
    state = NotificationState(a_file({"cooldown": "1m"}))
    made = decide(flag(1), state, START_MS)
    assert isinstance(made, FlagEntry)
    state.take(FLAG + "f1", msgspec.structs.replace(made, pending=()))
    assert decide(flag(1), state, START_MS + 23 * HOUR_MS) == Passed("repeat")
    late_ms = START_MS + 24 * HOUR_MS + 1
    assert state.expired(late_ms) == [FLAG + "f1"]
    state.forget(FLAG + "f1")
    assert decide(flag(1), state, late_ms) == Passed("too old")
    assert decide(flag(2, type=FlagType.LEFT), state, START_MS) == Passed("no rule")


def test_an_entry_is_remembered_for_as_long_as_its_cooldown_and_what_waits_for_longer() -> None:
    state = NotificationState(a_file({"cooldown": "3d", "per_hour": 1}))
    for number in (1, 2):
        made = decide(flag(number), state, START_MS)
        assert isinstance(made, FlagEntry)
        state.take(f"{FLAG}f{number}", made)
    assert state.expired(START_MS + 71 * HOUR_MS) == []
    sent = msgspec.structs.replace(state.entries["f1"], pending=())
    state.take(FLAG + "f1", sent)
    assert state.expired(START_MS + 73 * HOUR_MS) == [FLAG + "f1"]


def test_somebody_who_was_erased_is_in_no_digest() -> None:
    state = NotificationState(a_file({"per_hour": 1}))
    for number in range(4):
        made = decide(flag(number), state, START_MS)
        assert isinstance(made, FlagEntry)
        state.take(f"{FLAG}f{number}", made)
    ((key, digest),) = due_digests(state, START_MS + 2 * HOUR_MS).items()
    state.take(key, digest)
    state.forget(FLAG + "f2")
    assert [entry.flag.flag_id for entry in state.content(digest, "chat")] == ["f1", "f3"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_state_is_the_same_in_whatever_order_its_records_are_read(data: st.DataObject) -> None:
    """A restart reads the last record of every key, in the order in which these were last written."""
    kinds: list[dict[str, Any]] = [{"per_hour": 1, "topics": ("tea",)}, {"per_hour": 3, "cooldown": "20m"}]
    file = a_file(*({**kind, "sinks": ("chat", "mail")} for kind in data.draw(st.permutations(kinds))))
    live, topic = NotificationState(file), dict[str, bytes]()
    chance = random.Random(data.draw(st.integers(0, 10_000)))

    def write(key: str, record: FlagEntry | Digest) -> None:
        topic.pop(key, None)
        topic[key] = state_records.encode(record)
        live.take(key, record)

    now_ms = START_MS
    for number in range(data.draw(st.integers(1, 40))):
        now_ms += chance.randrange(25 * MINUTE_MS)
        for key, digest in due_digests(live, now_ms).items():
            write(key, digest)
        about = {"user_id": f"u{chance.randrange(5)}", "topic": chance.choice(("tea", "phone"))}
        one = a_flag(f"f{number}", **about, detected_at=now_ms)
        made = decide(one, live, now_ms)
        if isinstance(made, FlagEntry):
            write(f"{FLAG}f{number}", made)
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
        again.take(key, state_records.decode(key, value))
    assert seen(again, now_ms) == seen(live, now_ms)


def seen(state: NotificationState, now_ms: int) -> object:
    """Whatever makes a difference from now on."""
    later = [a_flag(f"later{n}", user_id=f"u{n}", detected_at=now_ms) for n in range(5)]
    return (
        {sink: sorted(state.pending(sink)) for sink in ("chat", "mail")},
        {rule: sorted(name for name, _ in state.waiting(rule)) for rule in ("r1", "r2")},
        {
            key: [sorted(entry.flag.flag_id for entry in state.content(digest, sink)) for sink in digest.pending]
            for key, digest in sorted(state.digests.items())
            if digest.pending
        },
        due_digests(state, now_ms + 100 * HOUR_MS),
        [decide(one, state, now_ms) for one in later],
        state.next_number(),
        sorted(state.expired(now_ms + 1000 * HOUR_MS)),
    )
