"""`stream-app migrate`: a tracker of 8 partitions becomes one of 12, with the counts, cuts and standings it had."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import MemberToRemove

from stream_app.core.messages import Cut
from stream_app.kafka.clients import open_admin, open_consumer
from stream_app.kafka.topic_scan import partitions_of, read, spans
from stream_app.ops.migrate.input_copy import copy_inputs
from stream_app.ops.migrate.migration_plan import create_target_topics, migration_plan
from stream_app.ops.migrate.target import target_of
from stream_app.settings import Settings, environment_of_child, load
from stream_app.settings.text import as_environment
from stream_app.sources.replay import replay
from tests.e2e.engine import load as synthetic
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.tracker import ROOT, Seen, following, tracker, variables
from tests.unit.ops.parts import run
from tests.waiting import eventually

WAIT_S = 60.0
WINDOW = {"window_s": "24h", "pane_s": "1h", "short_s": "1h"}
OLD, NEW = 8, 12

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def figures(cuts: dict[tuple[str, str], Cut]) -> dict[tuple[str, str], tuple[int, ...]]:
    return {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in cuts.items()}


def flagged_in(cuts: dict[tuple[str, str], Cut]) -> dict[tuple[str, str], int]:
    return {scope: cut.flagged for scope, cut in cuts.items()}


def leave(settings: Settings) -> None:
    """Remove members that the embedded broker still lists after their worker has ended."""
    with open_admin(settings) as admin:
        members = admin.describe_groups([settings.app_id])[settings.app_id]["members"]
        if members:
            admin.remove_group_members(settings.app_id, [MemberToRemove(member["member_id"]) for member in members])


def standings(settings: Settings) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    with open_consumer(settings) as consumer:
        for record in read(consumer, spans(consumer, partitions_of(consumer, [settings.standings_topic]))):
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record.value
    return found


def size(settings: Settings, names: Iterable[str]) -> int:
    with open_consumer(settings) as consumer:
        return sum(span.end - span.start for span in spans(consumer, partitions_of(consumer, names)).values())


def migrated(settings: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    result = run(settings, "migrate", "--partitions", NEW, "--json", *words)
    assert result.exit_code in {0, 3}, result.output
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def counted(brokers: str, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Settings, Seen]:
    """A tracker that has counted the synthetic load, with its worker still running."""
    name = f"migrate{abs(hash(request.node.nodeid))}"
    environment = variables(brokers, name, partitions=str(OLD), **WINDOW)
    with tracker(environment, tmp_path, workers=1) as tracked:
        settings = tracked.settings
        _, records = synthetic.made()
        with following(tracked, settings.curves_topic, settings.cuts_topic) as follower:
            replay(records, brokers, settings)
            follower.until_read(synthetic.RECORDS, WAIT_S)
            assert migrated(settings)[0] == 3
            time.sleep(3.0)  # rounds after the last batch
            seen = follower.drain()
    leave(settings)
    return settings, seen


@BOTH_BROKERS
def test_the_tracker_that_takes_over_has_every_count_cut_and_standing(
    counted: tuple[Settings, Seen], brokers: str, tmp_path: Path
) -> None:
    settings, seen = counted
    before = standings(settings)
    assert len(before) > 100
    status, report = migrated(settings)
    assert status == 0
    assert report["done"]
    assert report["there_before"] + report["set_aside"] == synthetic.RECORDS
    assert report["copied"] == 0
    assert report["set_aside"] == report["before"]["rejected"] == synthetic.BAD
    assert report["differences"] == []
    assert report["cuts_compared"] == 2 * (1 + len(synthetic.TOPICS))
    counters = ("applied", "duplicate", "late", "users")
    assert {name: report["copy"][name] for name in counters} == {name: report["before"][name] for name in counters}
    assert report["copy"]["applied"] == synthetic.EVENTS
    assert report["copy"]["rejected"] == 0
    assert report["standings"] == len(before)
    switched = load({**as_environment(settings), **report["settings"]})
    assert switched.partitions == NEW
    assert standings(switched) == before
    assert migrated(settings)[1]["copied"] == 0  # it can be repeated
    assert standings(switched) == before
    leave(switched)
    with tracker(as_environment(switched), tmp_path, workers=1) as tracked:  # the real worker takes over
        topics = (switched.curves_topic, switched.cuts_topic)
        with following(tracked, *topics) as follower:
            expected, flagged = figures(seen.cuts), flagged_in(seen.cuts)
            now = follower.until(
                lambda found: (
                    flagged_in(found.cuts) == flagged
                    and {cut.settings_version for cut in found.cuts.values()} == {switched.version}
                ),
                "the cuts and standings of the old tracker",
                WAIT_S,
            )
            assert figures(now.cuts) == expected
    exact = synthetic.cuts(synthetic.made()[0], settings.share)
    assert expected == {scope: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for scope, cut in exact.items()}


def test_a_migration_that_is_killed_goes_on_without_repeats(
    embedded_brokers: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = f"killed{abs(hash(request.node.nodeid))}"
    environment = variables(embedded_brokers, name, partitions=str(OLD), **WINDOW)
    settings = load(environment)
    with tracker(environment, tmp_path, workers=0):
        _, records = synthetic.made()
        replay(records[:40_000], embedded_brokers, settings)
        after = target_of(settings, NEW)
        for least in (1, 5_000):
            command = [sys.executable, "-m", "stream_app", "migrate", "--partitions", str(NEW)]
            process = subprocess.Popen(command, env=environment_of_child({**environment, "PYTHONPATH": str(ROOT)}))
            try:
                assert eventually(lambda least=least: size(settings, after.input_topics) >= least, WAIT_S)  # type: ignore[misc]
            finally:
                process.kill()
                process.wait()
        plan = migration_plan(settings, NEW)
        create_target_topics(plan)
        report = copy_inputs(plan)
        assert 0 < report.there < 40_000
        with open_consumer(settings) as consumer:
            copies = list(read(consumer, spans(consumer, partitions_of(consumer, plan.after.input_topics))))
        origins = [(record.topic, dict(record.headers)["stream-app.migrated-from"]) for record in copies]
        assert len({*origins}) == len(origins) == report.there + report.copied
        assert len(origins) + report.set_aside == 40_000
        assert copy_inputs(plan).copied == 0
