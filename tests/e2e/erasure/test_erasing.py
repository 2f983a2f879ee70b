"""`stream-app erase` against workers that run: the person is gone everywhere, all others are counted exactly."""

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from stream_app.core.messages import Cut
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.sources.replay import ReplayReport, replay
from tests.e2e.erasure import load
from tests.e2e.erasure.load import VICTIM
from tests.naive import NaiveCut
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.erasure import traces
from tests.servers.tracker import Follower, Seen, Tracker, following, tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(200)

KEY = "a secret of sixteen or more"
PSEUDONYM = PersonHashes(KEY).pseudonym(VICTIM)
HALF = load.EVENTS // 2
SPEED = load.SPAN_MS / 1000 / 10
"""Half of the load takes five seconds."""
WAIT_S = 60.0
COMPLETE, INCOMPLETE = 0, 3


def environment(brokers: str, redis_url: str, name: str, **given: str) -> dict[str, str]:
    settings = {"window_s": "24h", "pane_s": "30m", "batch_events": "200", "tick_s": "200ms", "min_users": "1"}
    own = {"partitions": "4", "redis_url": redis_url, "redis_prefix": name, "person_key": KEY}
    return variables(brokers, name, **settings, **own, **given)


def erase(run: Tracker, *arguments: str, user: str = VICTIM) -> Result:
    """Run the command with the id on stdin."""
    return CliRunner().invoke(main, ["erase", "-", "--json", *arguments], input=f"{user}\n", env=run.environment)


def places(result: Result) -> dict[str, tuple[int, int]]:
    """How much was found and is left, by place."""
    return {place["where"]: (place["found"], place["left"]) for place in json.loads(result.stdout)["places"]}


def follow(run: Tracker) -> Any:
    s = run.settings
    return following(run, s.curves_topic, s.cuts_topic, s.flags_topic, s.late_topic, s.dead_letters_topic)


def produce(run: Tracker, records: list[Any], speed: float | None = None) -> ReplayReport:
    return replay(records, run.settings.brokers, run.settings, speed=speed)


def is_flagged(seen: Seen, name: str) -> bool:
    return any(record.key == name.encode() for record in seen.records.get(seen.settings.flags_topic, ()))


def answers(cuts: Mapping[tuple[str, str], Cut | NaiveCut]) -> dict[tuple[str, str], tuple[int, ...]]:
    return {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in cuts.items()}


def check_others(run: Tracker, follower: Follower, events: Iterable[load.Event], renamed: bool = False) -> None:
    """All others, and only they, are counted, in cuts and segments, exactly."""
    wanted = load.counts(events)
    expected = answers(load.cuts(wanted, run.settings.share))
    follower.until(lambda seen: answers(seen.cuts) == expected, "the cuts of all others", 20)
    persons = PersonHashes(KEY)
    if renamed:
        wanted = {(topic, persons.pseudonym(user)): made for (topic, user), made in wanted.items()}
    assert traces.counted(run.settings) == wanted


def check_gone(run: Tracker, result: Result, names: Iterable[str]) -> None:
    """Nothing of the person is left; where the broker deletes no records the command says where they are."""
    report = json.loads(result.stdout)
    stay = {place["where"] for place in report["places"] if "cannot delete" in (place["note"] or "")}
    s = run.settings
    assert stay <= {s.flags_topic, s.dead_letters_topic, s.late_topic, s.credits_topic}
    left = {where for where, (_, left) in places(result).items() if left}
    assert left == stay
    assert (result.exit_code, report["complete"]) == ((INCOMPLETE, False) if stay else (COMPLETE, True))
    assert report["waiting_partitions"] == []
    assert traces.on_kafka(s, names, spared=stay) == set()
    assert eventually(lambda: traces.on_redis(s, names) == set(), 5)
    assert traces.in_logs_and_metrics(run, names) == set()


def start_half_way(run: Tracker, follower: Follower, made: load.Load, name: str) -> None:
    produced = produce(run, made.records[: len(made.records) // 2]).sent
    follower.until_read(produced, WAIT_S)
    follower.until(lambda seen: is_flagged(seen, name), "a flag about who will be erased", WAIT_S)


def second_half(run: Tracker, threads: ThreadPoolExecutor, made: load.Load) -> "Future[ReplayReport]":
    return threads.submit(produce, run, made.records[len(made.records) // 2 :], SPEED)


@BOTH_BROKERS
def test_a_user_erased_under_load_is_gone_and_a_replay_does_not_bring_them_back(
    brokers: str, redis_url: str, tmp_path: Path
) -> None:
    made = load.made("e")
    given = environment(brokers, redis_url, "erasing")
    with tracker(given, tmp_path, workers=2) as run, ThreadPoolExecutor(1) as threads, follow(run) as follower:
        start_half_way(run, follower, made, VICTIM)
        assert eventually(lambda: traces.on_redis(run.settings, [f":user:{VICTIM}:"]) != set(), WAIT_S)
        found = places(erase(run, "--dry-run"))
        assert all(before == after for before, after in found.values())
        unused = {run.settings.alerts_topic, run.settings.undelivered_topic}  # no process delivers here
        assert {where for where, (before, _) in found.items() if not before} - unused <= {run.settings.late_topic}
        producing = second_half(run, threads, made)
        result = erase(run, "--yes")
        producing.result(WAIT_S)
        follower.until_read(len(made.records), WAIT_S)
        check_others(run, follower, made.events)
        check_gone(run, result, [VICTIM])
        dead_letters = run.settings.dead_letters_topic
        assert places(result)[dead_letters][0] >= found[dead_letters][0]
        again = load.made("again", context=False)
        erased = sum(record.key == VICTIM.encode() for record in again.records)
        before_s = sum(map(erased_records, traces.metrics(run)))
        produce(run, again.records)
        follower.until_read(len(made.records) + len(again.records), WAIT_S)
        check_others(run, follower, made.events + again.events)
        check_gone(run, erase(run, "--yes"), [VICTIM])
        assert sum(map(erased_records, traces.metrics(run))) - before_s >= erased


def erased_records(metrics: str) -> float:
    (count,) = re.findall(r"^influence_erased_records_total (\S+)", metrics, re.MULTILINE)
    return float(count)


@pytest.mark.parametrize("moment", ["remembered", "carried out"])
def test_workers_killed_in_the_middle_complete_the_erasure_when_they_are_back(
    brokers: str, redis_url: str, tmp_path: Path, moment: str
) -> None:
    made = load.made("e")
    given = environment(brokers, redis_url, f"erasing-killed-{len(moment)}")
    with tracker(given, tmp_path, workers=2) as run, ThreadPoolExecutor(2) as threads, follow(run) as follower:
        start_half_way(run, follower, made, VICTIM)
        producing = second_half(run, threads, made)
        erasing = threads.submit(erase, run, "--yes")
        if moment == "remembered":
            assert eventually(lambda: len(traces.live(run.settings, run.settings.erasures_topic)) > 1, WAIT_S)
        else:
            assert eventually(lambda: any("erased users" in worker.said() for worker in run.workers), WAIT_S)
        for worker in run.workers:
            worker.kill()
        run.start()
        run.start()
        producing.result(WAIT_S)
        result = erasing.result(2 * WAIT_S)
        follower.until_read(len(made.records), WAIT_S)
        check_others(run, follower, made.events)
        check_gone(run, result, [VICTIM])


def test_with_pseudonyms_no_id_is_to_be_found_and_the_id_as_in_events_is_erased(
    brokers: str, redis_url: str, tmp_path: Path
) -> None:
    made = load.made("e")
    given = environment(brokers, redis_url, "erasing-pseudonyms", pseudonyms="true")
    with tracker(given, tmp_path, workers=2) as run, ThreadPoolExecutor(1) as threads, follow(run) as follower:
        start_half_way(run, follower, made, PSEUDONYM)
        in_clear = ["victim-7f3a", '"u1"', "'u1'", ":u1:"]
        assert traces.on_kafka(run.settings, in_clear) == set()
        assert eventually(lambda: traces.on_redis(run.settings, [PSEUDONYM]) != set(), WAIT_S)
        assert traces.on_redis(run.settings, in_clear) == set()
        producing = second_half(run, threads, made)
        result = erase(run, "--yes")
        producing.result(WAIT_S)
        follower.until_read(len(made.records), WAIT_S)
        check_others(run, follower, made.events, renamed=True)
        check_gone(run, result, [VICTIM, PSEUDONYM])
        assert traces.in_logs_and_metrics(run, in_clear) == set()


def test_without_a_worker_the_erasure_is_remembered_and_carried_out_by_the_next(
    brokers: str, redis_url: str, tmp_path: Path
) -> None:
    made = load.made("e")
    given = environment(brokers, redis_url, "erasing-later")
    with tracker(given, tmp_path, workers=1) as run, follow(run) as follower:
        start_half_way(run, follower, made, VICTIM)
        run.workers[0].kill()
        result = erase(run, "--yes", "--wait", "1s")
        report = json.loads(result.stdout)
        assert result.exit_code == INCOMPLETE
        assert (report["remembered"], report["complete"]) == (True, False)
        assert report["waiting_partitions"] == [0, 1, 2, 3]
        run.start()
        result = erase(run, "--yes")
        check_gone(run, result, [VICTIM])
        assert not [place for place, (_, left) in places(result).items() if left and place.endswith("standings")]


def test_erasing_somebody_unknown_changes_nothing_and_is_remembered(
    brokers: str, redis_url: str, tmp_path: Path
) -> None:
    made = load.made("e")
    given = environment(brokers, redis_url, "erasing-nobody")
    with tracker(given, tmp_path, workers=1) as run, follow(run) as follower:
        start_half_way(run, follower, made, VICTIM)
        result = erase(run, "--yes", user="nobody-knows-them")
        assert result.exit_code == COMPLETE
        assert set(places(result).values()) == {(0, 0)}
        keys = {key for _, key in traces.live(run.settings, run.settings.erasures_topic)}
        assert {mark.encode() for mark in PersonHashes(KEY).marks("nobody-knows-them")} < keys
        assert is_flagged(follower.drain(), VICTIM)
