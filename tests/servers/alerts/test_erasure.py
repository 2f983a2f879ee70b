"""A person who is erased while messages about them are pending: none is sent, and nothing about them is kept."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream_app.cli import main
from tests.servers.brokers import BOTH_BROKERS
from tests.unit.alerts.parts import SOON_S, AlertInstances, a_flag, a_hook, to_hook
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

WITHOUT_WORKERS = 3


@BOTH_BROKERS
def test_pending_messages_and_digests_leave_out_an_erased_person(brokers: str, tmp_path: Path) -> None:
    with a_hook() as hook:
        file = to_hook(hook)
        file["rules"] = [
            {"name": "at once", "topics": ["tea"], "sinks": ["hook"]},
            {"name": "later", "topics": ["phone"], "sinks": ["hook"], "per_hour": 1},
        ]
        hook.always = 503
        run = AlertInstances(brokers, "alerts-erasure", tmp_path, file, person_key="sixteen or more!")
        try:
            run.until_active(run.start())
            about = [("f1", "ann", "tea"), ("f2", "bob", "tea"), ("f3", "bob", "phone")]
            run.raise_flags(*(a_flag(name, user_id=user, topic=topic) for name, user, topic in about))
            assert eventually(lambda: 'waiting{sink="hook"} 3.0' in run.metrics(0), SOON_S), run.log(0)
            run.raise_flags(a_flag("f4", user_id="ann", topic="phone"))
            assert eventually(lambda: 'reason="limit"} 1.0' in run.metrics(0), SOON_S), run.log(0)
            done = CliRunner().invoke(main, ["erase", "ann", "--yes", "--wait", "3s", "--json"], env=run.environment)
            assert done.exit_code == WITHOUT_WORKERS, done.output
            places = {place["where"]: (place["found"], place["left"]) for place in json.loads(done.stdout)["places"]}
            assert places[run.settings.alerts_topic] == (2, 0)
            hook.always = 204
            # The longer the erasure has taken, the longer the next attempt is away.
            assert eventually(lambda: sorted(hook.ids) == ["f2", "f3"], 2 * SOON_S), run.log(0)
            run.end(0)
            run.until_active(run.start())
            run.raise_flags(a_flag("f5", user_id="carl", topic="tea"))
            assert eventually(lambda: sorted(hook.ids) == ["f2", "f3", "f5"], SOON_S), run.log(1)
            live = {record.key: record.value for record in run.records(run.settings.alerts_topic)}
            assert not [key for key, value in live.items() if b'"ann"' in (value or b"")]
        finally:
            run.close()


def test_undelivered_messages_about_a_person_are_found(brokers: str, tmp_path: Path) -> None:
    with a_hook() as hook:
        hook.always = 403
        run = AlertInstances(brokers, "alerts-undelivered", tmp_path, to_hook(hook), person_key="sixteen or more!")
        try:
            run.until_active(run.start())
            run.raise_flags(a_flag("f1", user_id="ann"), a_flag("f2", user_id="bob"))
            assert eventually(lambda: len(run.undelivered()) == 2, SOON_S), run.log(0)
            done = CliRunner().invoke(main, ["erase", "ann", "--dry-run", "--json"], env=run.environment)
            places = {place["where"]: place["found"] for place in json.loads(done.stdout)["places"]}
            assert places[run.settings.undelivered_topic] == 1
            assert places[run.settings.alerts_topic] == 1
        finally:
            run.close()
