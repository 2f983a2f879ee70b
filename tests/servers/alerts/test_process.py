"""The alerts process with a real Kafka and a real receiver: kills, fail-over, and sinks that are down or refuse."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from stream_app.demo.embedded.process import LOCALHOST
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.embedded import kafka_server
from tests.unit.alerts.parts import DAY_MS, SECRET, AlertInstances, Hook, a_flag, a_hook, now_ms, to_hook
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(180)

SOON_S = 30.0
STILL_S = 2.0
Make = Callable[..., AlertInstances]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with a_hook() as made:
        yield made


@pytest.fixture
def instances(brokers: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[AlertInstances] = []

    def make(file: dict[str, Any], **given: str) -> AlertInstances:
        made.append(AlertInstances(brokers, f"alerts-{request.node.name[:60]}", tmp_path, file, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ids(*numbers: int) -> list[str]:
    return [f"f{number}" for number in numbers]


def test_a_flag_is_sent_once_although_it_comes_twice_and_the_process_restarts(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    flags = [a_flag(name) for name in ids(1, 2, 3)]
    run.raise_flags(*flags, flags[0])
    assert eventually(lambda: sorted(hook.ids) == ids(1, 2, 3), SOON_S), run.log(0)
    assert run.end(0) == 0, run.log(0)
    run.until_active(run.start())
    run.raise_flags(flags[1], a_flag("f4"))
    assert eventually(lambda: "f4" in hook.ids, SOON_S), run.log(1)
    eventually(lambda: len(hook.ids) > 4, STILL_S)
    assert sorted(hook.ids) == ids(1, 2, 3, 4)
    assert hook.forged == 0
    assert hook.got[0]["data"]["title"] == "user-of-f1 is taking off: connector of phone"


@BOTH_BROKERS
def test_a_process_killed_between_a_send_and_its_record_sends_that_message_again_with_the_same_id(
    instances: Make, hook: Hook
) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    hook.delay_s = 2.0
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: hook.asked == 1, SOON_S), run.log(0)
    run.kill(0)  # the receiver has the message, and Kafka has no record of it
    assert eventually(lambda: hook.ids == ["f1"], SOON_S)
    hook.delay_s = 0.0
    run.raise_flags(a_flag("f2"))
    run.until_active(run.start())
    assert eventually(lambda: "f2" in hook.ids, SOON_S), run.log(1)
    eventually(lambda: len(hook.ids) > 3, STILL_S)
    assert hook.ids == ["f1", "f1", "f2"]


@BOTH_BROKERS
def test_when_the_leader_of_two_is_killed_the_other_continues_and_nothing_is_lost_or_sent_twice(
    instances: Make, hook: Hook
) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    run.until_standing_by(run.start())
    run.raise_flags(*(a_flag(name) for name in ids(1, 2, 3)))
    assert eventually(lambda: len(hook.ids) == 3, SOON_S), run.log(0)
    assert not eventually(lambda: "active: " in run.log(1), STILL_S)
    hook.always = 503
    asked = hook.asked
    run.raise_flags(*(a_flag(name) for name in ids(4, 5, 6)))
    assert eventually(lambda: hook.asked > asked, SOON_S)
    run.kill(0)
    run.raise_flags(a_flag("f7"))
    hook.always = 204
    run.until_active(1)
    assert eventually(lambda: len(hook.ids) == 7, SOON_S), run.log(1)
    eventually(lambda: len(hook.ids) > 7, STILL_S)
    assert sorted(hook.ids) == ids(1, 2, 3, 4, 5, 6, 7)


@BOTH_BROKERS
def test_an_instance_that_joins_takes_nothing_from_the_leader_and_a_leader_that_stops_hands_over(
    instances: Make, hook: Hook
) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    run.until_standing_by(run.start())
    hook.delay_s = 1.0
    run.raise_flags(*(a_flag(name) for name in ids(1, 2, 3, 4)))
    assert eventually(lambda: hook.asked == 2, SOON_S), run.log(0)
    assert "active: " not in run.log(1)
    assert run.end(0) == 0, run.log(0)
    assert eventually(lambda: len(hook.ids) == 4, SOON_S), run.log(1)
    eventually(lambda: len(hook.ids) > 4, STILL_S)
    assert sorted(hook.ids) == ids(1, 2, 3, 4)


@BOTH_BROKERS
def test_a_leader_frozen_past_its_session_sends_nothing_when_it_wakes_up(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    run.until_standing_by(run.start())
    hook.always = 503
    run.raise_flags(*(a_flag(name) for name in ids(1, 2, 3)))
    assert eventually(lambda: hook.asked > 0, SOON_S), run.log(0)
    run.instances[0].send_signal(signal.SIGSTOP)
    run.until_active(1)
    hook.always = 204
    assert eventually(lambda: len(hook.ids) == 3, SOON_S), run.log(1)
    run.instances[0].send_signal(signal.SIGCONT)
    run.raise_flags(a_flag("f4"))
    assert eventually(lambda: "f4" in hook.ids, SOON_S), run.log(1)
    eventually(lambda: len(hook.ids) > 4, 2 * STILL_S)
    assert sorted(hook.ids) == ids(1, 2, 3, 4)


def test_a_sink_that_is_down_for_a_while_gets_each_flag_once(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    hook.answers = [(503, {"Retry-After": "1"}), (500, {}), (429, {})]
    run.until_active(run.start())
    run.raise_flags(*(a_flag(name) for name in ids(1, 2)))
    assert eventually(lambda: len(hook.ids) == 2, SOON_S), run.log(0)
    assert sorted(hook.ids) == ids(1, 2)
    assert hook.asked == 5
    assert run.undelivered() == []


def test_a_message_that_a_sink_refuses_is_undelivered_with_the_reason(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    hook.answers = [(403, {})]
    run.until_active(run.start())
    refused = a_flag("f1")
    run.raise_flags(refused, a_flag("f2"))
    assert eventually(lambda: hook.ids == ["f2"], SOON_S), run.log(0)
    (found,) = run.undelivered()
    assert found.reason == "403 Forbidden"
    assert (found.sink, found.rule, found.message_id, found.flags) == ("hook", "all", "f1", [refused])
    assert SECRET not in run.log(0)
    run.kill(0)
    run.until_active(run.start())
    run.raise_flags(refused, a_flag("f3"))
    assert eventually(lambda: hook.ids == ["f2", "f3"], SOON_S), run.log(1)


def test_a_message_to_a_sink_that_stays_down_is_given_up(instances: Make, hook: Hook) -> None:
    file = to_hook(hook)
    file["sinks"]["hook"]["give_up_after"] = "2s"
    run = instances(file)
    hook.always = 500
    run.until_active(run.start())
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: "message undelivered" in run.log(0), SOON_S), run.log(0)
    (found,) = run.undelivered()
    assert found.reason == "500 Internal Server Error"
    assert found.attempts > 1


def test_a_message_to_a_sink_that_was_removed_from_the_file_is_undelivered(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    hook.always = 500
    run.until_active(run.start())
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: hook.asked > 0, SOON_S), run.log(0)
    run.end(0)
    text = Path(run.settings.alerts_file).read_text().replace('"hook"', '"other"')
    Path(run.settings.alerts_file).write_text(text)
    run.until_active(run.start())
    assert eventually(lambda: "message undelivered" in run.log(1), SOON_S), run.log(1)
    (found,) = run.undelivered()
    assert (found.sink, found.reason) == ("hook", "the alerts file has no such sink any more")


def test_a_redirect_is_not_followed(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    hook.answers = [(307, {"Location": hook.url})]
    run.until_active(run.start())
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: "message undelivered" in run.log(0), SOON_S), run.log(0)
    (found,) = run.undelivered()
    assert "redirects are not followed" in found.reason
    assert hook.asked == 1


def test_flags_over_the_hourly_limit_are_delayed_and_those_before_the_first_start_are_not_sent(
    instances: Make, hook: Hook
) -> None:
    run = instances(to_hook(hook, per_hour=2))
    run.raise_flags(a_flag("before"))
    run.until_active(run.start())
    run.raise_flags(*(a_flag(name) for name in ids(1, 2, 3, 4)))
    assert eventually(lambda: len(hook.ids) == 2, SOON_S), run.log(0)
    assert eventually(lambda: 'held_total{reason="limit"} 2.0' in run.metrics(0), SOON_S), run.metrics(0)
    assert "before" not in hook.ids
    assert SECRET not in run.metrics(0)


def test_from_the_beginning_includes_earlier_flags_but_not_old_ones(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    run.raise_flags(a_flag("old", detected_at=now_ms() - 2 * DAY_MS), a_flag("young"))
    run.until_active(run.start("--from-beginning"))
    assert eventually(lambda: hook.ids == ["young"], SOON_S), run.log(0)
    assert eventually(lambda: 'held_total{reason="too old"} 1.0' in run.metrics(0), SOON_S)


def test_a_broken_record_among_the_flags_stops_nothing(instances: Make, hook: Hook) -> None:
    run = instances(to_hook(hook))
    run.until_active(run.start())
    with closing(KafkaProducer(bootstrap_servers=run.settings.brokers)) as producer:
        producer.send(run.settings.flags_topic, b"no flag", b"x", partition=0).get(SOON_S)
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: hook.ids == ["f1"], SOON_S), run.log(0)


def test_no_log_metric_or_record_holds_a_secret(instances: Make, hook: Hook) -> None:
    hook.is_signed = False
    file = to_hook(hook)
    file["sinks"]["hook"]["url"] += "?key=planted-key"
    file["sinks"]["chat"] = {
        "kind": "apprise",
        "url": f"json://user:planted-pass@127.0.0.1:{hook.port}/planted-token-1",
    }
    file["rules"].append({"name": "chat", "sinks": ["chat"]})
    run = instances(file, log_level="DEBUG")
    hook.answers = [(403, {}), (404, {})]
    hook.response = f"{SECRET} planted-key planted-pass planted-token-1"
    run.until_active(run.start())
    run.raise_flags(a_flag("f1"))
    assert eventually(lambda: len(run.undelivered()) == 2, SOON_S), run.log(0)
    kept = [
        str(record)
        for topic in (run.settings.alerts_topic, run.settings.undelivered_topic)
        for record in run.records(topic)
    ]
    for text in (run.log(0), run.metrics(0), *kept):
        assert SECRET not in text
        assert "planted" not in text


def test_while_kafka_does_not_answer_nothing_is_sent_and_afterwards_everything_once(tmp_path: Path, hook: Hook) -> None:
    with kafka_server(tmp_path) as server:
        run = AlertInstances(f"{LOCALHOST}:{server.port}", "alerts-away", tmp_path, to_hook(hook))
        with closing(run):
            run.until_active(run.start())
            run.raise_flags(a_flag("f1"))
            assert eventually(lambda: hook.ids == ["f1"], SOON_S), run.log(0)
            hook.always = 503
            run.raise_flags(a_flag("f2"))
            assert eventually(lambda: 'waiting{sink="hook"} 1.0' in run.metrics(0), SOON_S), run.log(0)
            server.freeze()
            assert eventually(lambda: "alerts_active 0.0" in run.metrics(0), SOON_S), run.log(0)
            hook.always = 204
            assert not eventually(lambda: "f2" in hook.ids, STILL_S)
            server.thaw()
            run.raise_flags(a_flag("f3"))
            assert eventually(lambda: len(hook.ids) == 3, 2 * SOON_S), run.log(0)
            eventually(lambda: len(hook.ids) > 3, STILL_S)
            assert sorted(hook.ids) == ids(1, 2, 3)
