"""A tracker of employees with a real worker: a minimum group, tokens with roles, audited looks, opting out and back."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, TopicPartition

from stream_app.cli import main
from stream_app.core.messages import Look
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.api.asking import Reply, address, reply, url
from tests.e2e.api.moving import GIVEN, START_MS, Moving
from tests.servers.reading import up_to_the_end
from tests.servers.tracker import tracker, variables

pytestmark = pytest.mark.timeout(200)

KEY = "a secret of sixteen or more"
VIEWER, ANALYST = "viewer-has-this-token", "analyst-has-this-token"
TOKENS = f"""
name=vic role=viewer  populations=* until=never token={VIEWER}
name=ann role=analyst populations=* until=never token={ANALYST}
"""
FEW = ("few-1", "few-2", "few-3")
LEADER = "person-00"


def event(number: int, user: str, topic: str, impressions: int) -> RecordedEvent:
    at_ms = START_MS + 100 * number
    value = {"event_id": f"e{number}", "ts": at_ms, "user_id": user, "topics": [topic], "impressions": impressions}
    return RecordedEvent(False, user.encode(), msgspec.json.encode(value), at_ms)


def records() -> list[RecordedEvent]:
    """Forty people talk about tea, two of whom make most of it; three about cups."""
    found = [event(n, f"person-{n % 40:02}", "tea", 5000 if n % 40 < 2 else 20) for n in range(120)]
    return found + [event(200 + n, user, "cups", 37) for n, user in enumerate(FEW)]


@pytest.fixture(scope="module")
def employees(embedded_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    folder = tmp_path_factory.mktemp("employees")
    tokens = folder / "tokens"
    tokens.write_text(TOKENS)
    own = {"min_group": "5", "min_users": "10", "audit": "true", "person_key": KEY, "http_tokens_file": str(tokens)}
    environment = variables(embedded_brokers, "employees", **{**GIVEN, **own, "partitions": "2"})
    with tracker(environment, folder, 1) as run:
        moving = Moving(run)
        sent = replay(records(), embedded_brokers, run.settings).sent
        moving.until(lambda: said(moving, "/health").json()["applied"] == sent, "all is counted")
        moving.until(lambda: LEADER.encode() in said(moving, "/influencers", topic="tea").body, "the leader is named")
        yield moving


def said(moving: Moving, path: str, token: str = ANALYST, reason: str = "", **query: Any) -> Reply:
    headers = {"Authorization": f"Bearer {token}", "X-Stream-App-Reason": reason}
    return reply(address(moving.run.workers[0]), url(path, **query), headers=headers)


def looks(moving: Moving) -> list[Look]:
    """All that was audited."""
    settings = moving.run.settings
    with closing(KafkaConsumer(bootstrap_servers=settings.brokers, enable_auto_commit=False)) as consumer:
        place = TopicPartition(settings.audit_topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        return [msgspec.json.decode(record.value, type=Look) for record in up_to_the_end(consumer)]


def test_a_topic_of_three_people_is_not_there_and_no_number_is_exact(employees: Moving) -> None:
    for path in ("/topics", "/cuts", "/influencers", "/flags"):
        assert not [name for name in (*FEW, "cups") if name.encode() in said(employees, path).body]
    assert said(employees, "/curve", topic="cups").json()["cut"] is None
    assert said(employees, f"/users/{FEW[0]}").status == 404
    (tea,) = [topic for topic in said(employees, "/topics").json()["topics"] if topic["topic"] == "tea"]
    assert (tea["users"], tea["connector"]["k"], tea["connector"]["total"]) == (40, 5, 10_000)
    place = said(employees, f"/users/{LEADER}").json()["places"][0]
    assert (place["now"]["value"], place["now"]["panes"]) == (10_000, [])


def test_a_viewer_sees_numbers_and_no_people(employees: Moving) -> None:
    assert said(employees, "/topics", VIEWER).status == 200
    for path in ("/influencers", f"/users/{LEADER}", "/flags"):
        assert said(employees, path, VIEWER).status == 403


def test_each_look_at_a_person_is_on_kafka_with_who_and_why(employees: Moving) -> None:
    said(employees, f"/users/{LEADER}", reason="case 17")
    found = [look for look in looks(employees) if look.reason == "case 17"]
    assert [(look.caller, look.route, look.persons) for look in found] == [
        ("ann", "/api/v1/users/{user_id}", [PersonHashes(KEY).pseudonym(LEADER)])
    ]
    assert not [look for look in looks(employees) if look.caller == "vic"]


def test_all_that_is_held_of_a_person_can_be_exported(employees: Moving) -> None:
    settings = employees.run.settings
    arguments = ["person", LEADER, "--export", "--reason", "they asked"]
    ran = CliRunner().invoke(main, arguments, env=employees.run.environment)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert (found["user_id"], found["state"]) == (LEADER, "counts")
    counts = {place["topic"]: (place["posts"], place["impressions"]) for place in found["counts"]}
    assert counts == {"*": (3, 15_000), "tea": (3, 15_000)}
    assert all(sum(pane["posts"] for pane in place["panes"]) == place["posts"] for place in found["counts"])
    assert [one["topic"] for one in found["evidence"]] == [settings.posts_topic] * 3
    assert {flag["user_id"] for flag in (*found["flags"], *found["standings"])} == {LEADER}
    assert found["looks"][-1]["route"] == "stream-app person"
    assert {name for look in found["looks"] for name in look["persons"]} == {PersonHashes(KEY).pseudonym(LEADER)}
    assert "person-01" not in ran.stdout


def test_who_opts_out_is_nowhere_and_counts_again_once_they_are_back(employees: Moving) -> None:
    def opt_out(*arguments: str) -> dict[str, Any]:
        ran = CliRunner().invoke(main, ["opt-out", LEADER, "--json", *arguments], env=employees.run.environment)
        assert ran.exit_code == 0, ran.output
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    assert opt_out() == {"out": True, "changed": True, "waiting_partitions": []}
    assert opt_out() == {"out": True, "changed": False, "waiting_partitions": []}
    assert said(employees, f"/users/{LEADER}").status == 404
    assert LEADER.encode() not in said(employees, "/influencers", topic="tea").body
    assert LEADER.encode() not in said(employees, "/flags").body
    settings = employees.run.settings
    replay([event(500, LEADER, "tea", 9000)], settings.brokers, settings)
    employees.until(lambda: said(employees, "/health").json()["rejected"] >= 1, "their event is rejected")
    assert opt_out("--back") == {"out": False, "changed": True, "waiting_partitions": []}
    replay([event(501, LEADER, "tea", 90_000)], settings.brokers, settings)
    employees.until(lambda: said(employees, f"/users/{LEADER}").status == 200, "they count again")
    assert said(employees, f"/users/{LEADER}").json()["places"][0]["now"]["value"] == 10_000


def test_no_log_names_anybody(employees: Moving) -> None:
    for worker in employees.run.workers:
        assert not worker.has_said("person-")
        assert not worker.has_said(FEW[0])
    assert Path(employees.run.workers[0].log.name).stat().st_size
