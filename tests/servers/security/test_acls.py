"""Every command works with exactly the documented permissions, and not with one fewer."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from kafka import KafkaProducer

from stream_app import worker as worker_module
from stream_app.settings import Settings, load
from tests.servers.security.parts import REDIS_PASSWORDS, Secured, a_worker, asked, own_topics, ran
from tests.tools.acls import TOPIC, Acl, kafka_acls
from tests.waiting import eventually

USER_OF = {
    "worker": "worker",
    "worker --audit": "worker",
    "topics create": "creator",
    "topics check": "checker",
    "replay": "producer",
    "watch": "watcher",
    "alerts run": "alerter",
    "alerts dry-run": "rehearser",
    "dead-letters list": "reader",
    "dead-letters duplicates": "looker",
    "dead-letters replay": "resender",
    "doctor": "doctor",
    "reset": "resetter",
    "erase": "eraser",
    "person": "exporter",
    "opt-out": "counsellor",
}
DENIED = re.compile(r"lacks a permission|may not|not authorized|AuthorizationFailed", re.IGNORECASE)
PERSON_KEY = "planted-person-key"
SOON_S = 30
pytestmark = pytest.mark.timeout(300)


class Tracked:
    """A tracker with topics of its own, and a user for each command."""

    def __init__(self, kafka: Secured, name: str, **given: object) -> None:
        self.kafka = kafka
        small = {"partitions": 1, "min_users": 3, "min_impressions": 1, "http_port": 0, "session_timeout_s": "3s"}
        self.given: Mapping[str, object] = {**own_topics(name), **small, **given}
        self.settings: Settings = load(self.variables("nobody"))
        self.acls = kafka_acls(self.settings)
        assert {*self.acls} == {*USER_OF}
        for command, user in USER_OF.items():
            kafka.allow(user, self.acls[command])
        self._produced = 0

    def variables(self, user: str, **given: object) -> dict[str, str]:
        return self.kafka.variables(user, **self.given, **given)

    def happen(self) -> None:
        """Have events come that lead to a record of every kind; each time in another topic, with another connector."""
        self._produced += 1
        now_ms, topic = round(time.time() * 1000), f"t{self._produced}"
        reach = [1_000_000] + [10] * 11
        values = [
            {"event_id": f"{topic}-{n}", "ts": now_ms + n, "user_id": f"u{n}", "topics": [topic], "audience": audience}
            for n, audience in enumerate(reach)
        ]
        values.append({**values[0], "event_id": f"{topic}-late", "ts": 1})
        values.append({**values[1], "event_id": f"{topic}-hour-ago", "ts": now_ms - 3_600_000, "author_id": "u0"})
        with closing(KafkaProducer(bootstrap_servers=self.kafka.cluster.administration)) as producer:
            for name in self.settings.input_topics:
                for value in values:
                    producer.send(name, json.dumps(value).encode(), str(value["user_id"]).encode())
                producer.send(name, b"no event", b"u0")
            producer.flush()

    def set_aside(self, user: str) -> None:
        """Put a record of `user` behind one of somebody else, wherever such records can be deleted."""
        with closing(KafkaProducer(bootstrap_servers=self.kafka.cluster.administration)) as producer:
            for topic in (self.settings.flags_topic, self.settings.dead_letters_topic, self.settings.late_topic):
                for key in (b"somebody", user.encode()):
                    producer.send(topic, b"{}", key)
            for name in ("somebody", user):
                flag = {"user_id": name}
                producer.send(self.settings.undelivered_topic, json.dumps({"flags": [flag]}).encode(), b"sink")
                producer.send(self.settings.alerts_topic, json.dumps({"flag": flag}).encode(), f"flag/{name}".encode())
            producer.flush()


@pytest.fixture(scope="module")
def tracked(kafka: Secured) -> Tracked:
    run = Tracked(kafka, "acls")
    ran(run.variables("creator"), "topics", "create")
    run.happen()
    return run


def test_the_tracker_runs_with_exactly_the_permissions_listed(tracked: Tracked, tmp_path: Path) -> None:
    ran(tracked.variables("checker"), "topics", "check")
    (tmp_path / "events.jsonl").write_text('{"event_id":"r","ts":1767225600000,"user_id":"u1","topics":["tea"]}\n')
    ran(tracked.variables("producer"), "replay", str(tmp_path / "events.jsonl"))
    log = tmp_path / "log.txt"
    with a_worker(tracked.variables("worker"), log) as worker:
        watched = ran(tracked.variables("watcher"), "watch", "--json", "--from-beginning", "--limit", "1")
        assert worker.poll() is None
    assert json.loads(watched.stdout)["user_id"] == "u0"
    assert not DENIED.search(log.read_text())


def test_operators_work_with_exactly_the_permissions_listed(kafka: Secured, tmp_path: Path) -> None:
    run = Tracked(kafka, "operated")
    ran(run.variables("creator"), "topics", "create")
    run.happen()
    with a_worker(run.variables("worker"), tmp_path / "log.txt"):
        deadline_s = time.monotonic() + SOON_S
        while "not-json" not in (listed := asked(run.variables("reader"), "dead-letters", "list", "--late").output):
            assert time.monotonic() < deadline_s, listed
    for user, *command in (
        ("doctor", "doctor"),
        ("resender", "dead-letters", "replay", "--all", "--late", "--yes"),
        ("resetter", "reset", "--yes", "--positions", "latest"),
        ("resetter", "reset", "--yes"),
        ("checker", "topics", "check"),
    ):
        done = asked(run.variables(user), *command)
        assert done.exit_code == 0 or user == "doctor", done.output  # it finds that no worker runs any more
        assert not DENIED.search(done.output)


def test_a_user_without_permissions_can_do_nothing_and_every_command_says_so(tracked: Tracked, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event_id":"r","ts":1,"user_id":"u1","topics":["tea"]}\n')
    for command in (
        ("topics", "create"),
        ("topics", "check", "--json"),
        ("worker",),
        ("watch", "--limit", "1"),
        ("replay", str(tmp_path / "events.jsonl")),
    ):
        done = asked(tracked.variables("nobody"), *command)
        assert done.exit_code == 1
        assert DENIED.search(done.output)


def test_a_worker_needs_every_one_of_its_permissions(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most are missed before it starts; the others as soon as it works."""
    monkeypatch.setattr(worker_module, "run_worker", lambda _settings, _found: 0)
    assert not DENIED.search(asked(tracked.variables("worker"), "worker").output)
    for acl, operation in each(tracked.acls["worker"]):
        if (acl.name, operation) == (tracked.settings.erasures_topic, "Write"):
            continue  # only the first worker with a person_key writes there, once
        if (acl.name, operation) == (tracked.settings.additions_topic, "Write"):
            continue  # only workers beside others write there: see the next test
        tracked.kafka.forbid("worker", acl.resource, acl.name, operation)
        result = asked(tracked.variables("worker"), "worker")
        if not DENIED.search(result.output):
            assert is_denied_at_work(tracked, tmp_path / f"{acl.name}-{operation}.txt"), f"{operation} on {acl.name}"
        tracked.kafka.allow("worker", [acl._replace(operations=(operation,))])


def test_workers_that_share_a_tracker_need_to_write_what_they_send_each_other(kafka: Secured, tmp_path: Path) -> None:
    run = Tracked(kafka, "sharing", partitions=2)
    ran(run.variables("creator"), "topics", "create")
    kafka.forbid("worker", TOPIC, run.settings.additions_topic, "Write")
    run.happen()
    logs = [tmp_path / "one.txt", tmp_path / "other.txt"]
    with a_worker(run.variables("worker"), logs[0]), a_worker(run.variables("worker"), logs[1]):
        assert eventually(lambda: any(DENIED.search(log.read_text()) for log in logs), SOON_S)


@pytest.mark.parametrize(("command", "user"), [("replay", "producer"), ("watch", "watcher")])
def test_a_producer_and_a_watcher_need_every_one_of_their_permissions(
    tracked: Tracked, tmp_path: Path, command: str, user: str
) -> None:
    event = '{"event_id":"r","ts":1,"user_id":"u1","topics":["tea"]}\n'
    taken_back = '{"kind":"retract","of":"post","event_id":"r","ts":1,"user_id":"u1"}\n'
    (tmp_path / "events.jsonl").write_text(event + taken_back)
    options = {"replay": str(tmp_path / "events.jsonl"), "watch": "--from-beginning"}
    for acl, operation in each(tracked.acls[command]):
        tracked.kafka.forbid(user, acl.resource, acl.name, operation)
        result = asked(tracked.variables(user), command, options[command])
        assert result.exit_code == 1
        assert DENIED.search(result.output)
        tracked.kafka.allow(user, [acl])


def test_a_doctor_says_which_configurations_it_may_not_see(tracked: Tracked) -> None:
    name = tracked.settings.posts_topic
    tracked.kafka.forbid("doctor", TOPIC, name, "DescribeConfigs")
    findings = json.loads(asked(tracked.variables("doctor"), "doctor", "--json").stdout)["findings"]
    assert f"{name}: its configuration may not be seen, nor judged" in [finding["found"] for finding in findings]
    tracked.kafka.allow("doctor", [Acl(TOPIC, name, ("DescribeConfigs",))])
    assert "may not be seen" not in asked(tracked.variables("doctor"), "doctor", "--json").stdout


def test_a_person_is_erased_with_exactly_the_permissions_listed(
    kafka: Secured, redis_address: str, tmp_path: Path
) -> None:
    board = {"redis_prefix": "influence:erased", "redis_ca_file": kafka.authority.cert, "person_key": PERSON_KEY}
    run = Tracked(kafka, "erased", **board)
    ran(run.variables("creator"), "topics", "create")
    run.happen()
    worker, eraser = (
        run.variables(user, redis_url=f"rediss://{other}:{REDIS_PASSWORDS[other]}@{redis_address}/0")
        for user, other in (("worker", "worker"), ("eraser", "erase"))
    )
    run.set_aside("u0")
    with a_worker(worker, tmp_path / "log.txt"):
        deadline_s = time.monotonic() + SOON_S
        while any(not place["found"] for place in places(asked(eraser, "erase", "u0", "--dry-run", "--json"))):
            assert time.monotonic() < deadline_s, (tmp_path / "log.txt").read_text()
        run.set_aside("u0")
        done = asked(eraser, "erase", "u0", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert not any(place["left"] for place in places(done))
    assert {place["where"] for place in places(done) if "were copied" in (place["note"] or "")} == {
        *(run.settings.flags_topic, run.settings.dead_letters_topic, run.settings.late_topic),
        run.settings.undelivered_topic,
    }


def places(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["places"]
    return found


def test_an_eraser_needs_every_one_of_its_permissions(kafka: Secured) -> None:
    run = Tracked(kafka, "erasing", person_key=PERSON_KEY)
    ran(run.variables("creator"), "topics", "create")
    erase = ("erase", "u0", "--yes", "--wait", "1s")
    for acl, operation in each(run.acls["erase"]):
        if acl.name == run.settings.credits_topic and operation in {"Write", "Delete"}:
            continue  # credits are removed once workers have counted them, and none are here
        run.set_aside("u0")
        if operation != "Describe":  # which comes with each of the others, and would be missed first
            kafka.allow("eraser", [acl._replace(operations=("Describe",))])
        kafka.forbid("eraser", acl.resource, acl.name, operation)
        result = asked(run.variables("eraser"), *erase)
        assert result.exit_code == 1, f"{operation} on {acl.name}"
        assert DENIED.search(result.output), result.output
        kafka.forbid("eraser", acl.resource, acl.name, "Describe")
        kafka.allow("eraser", [acl._replace(operations=(operation,))])
    remembered = asked(run.variables("eraser"), *erase)
    assert remembered.exit_code == 3  # nothing is denied; the workers that carry it out are not there
    assert "is a worker running?" in remembered.output


@pytest.mark.parametrize("command", ["person", "opt-out"])
def test_commands_about_a_person_need_every_one_of_their_permissions(kafka: Secured, command: str) -> None:
    run = Tracked(kafka, f"about-{command}", person_key=PERSON_KEY)
    ran(run.variables("creator"), "topics", "create")
    run.set_aside("u0")
    user, arguments = USER_OF[command], (command, "u0", *(("--wait", "1s") if command == "opt-out" else ()))
    for acl, operation in each(run.acls[command]):
        if operation != "Describe":
            kafka.allow(user, [acl._replace(operations=("Describe",))])
        kafka.forbid(user, acl.resource, acl.name, operation)
        result = asked(run.variables(user), *arguments)
        assert result.exit_code == 1, f"{operation} on {acl.name}: {result.output}"
        assert DENIED.search(result.output), result.output
        kafka.forbid(user, acl.resource, acl.name, "Describe")
        kafka.allow(user, [acl._replace(operations=(operation,))])
    assert asked(run.variables(user), *arguments).exit_code == (3 if command == "opt-out" else 0)


def each(acls: list[Acl]) -> Iterator[tuple[Acl, str]]:
    for acl in acls:
        for operation in acl.operations:
            yield acl, operation


def is_denied_at_work(tracked: Tracked, log: Path) -> bool:
    """Whether a worker that has something to do soon says what it lacks."""
    tracked.happen()
    with a_worker(tracked.variables("worker"), log) as worker:
        eventually(lambda: bool(DENIED.search(log.read_text())) or worker.poll() is not None, SOON_S)
        return bool(DENIED.search(log.read_text()))
