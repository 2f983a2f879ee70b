"""`stream-app doctor`: its findings on servers that are healthy, faulty or absent."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from stream_app.core.events.murmur2 import partitions_of
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.findings import Finding, Severity
from stream_app.kafka import clients
from stream_app.kafka.clients import open_admin
from stream_app.kafka.topics import needed_topics_of
from stream_app.ops.doctor import machine, redis
from stream_app.ops.doctor.checks import check_all
from stream_app.settings import Settings
from stream_app.settings.secret import SecretUrl
from tests.servers.brokers import APACHE, BOTH_BROKERS
from tests.servers.tracker import following, tracker, variables
from tests.unit.ops.parts import PARTITIONS, dead_letter, made, produce, put, run, settings_of

WAIT_S = 30.0


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """A tracker's topics, empty."""
    return made(settings_of(brokers, f"doctor{abs(hash(request.node.nodeid))}"))


def findings(settings: Settings, area: str) -> list[Finding]:
    return [finding for finding in check_all(settings) if finding.area == area]


def worst(found: list[Finding]) -> Severity:
    states = [finding.state for finding in found]
    return max(states, key=list(Severity).index)


def the_one(found: list[Finding], text: str) -> Finding:
    (one,) = [finding for finding in found if text in finding.found]
    return one


def event(user: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"event_id": "e", "ts": 1_767_225_600_000, "user_id": user, **fields})


def place_of(user: str) -> int:
    return int(partitions_of([user.encode()], PARTITIONS)[0])


@BOTH_BROKERS
def test_a_new_tracker_has_no_problem(own: Settings, redis_url: str) -> None:
    settings = msgspec.structs.replace(own, redis_url=SecretUrl(redis_url))
    result = run(settings, "doctor", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert answer["problems"] == 0
    warned = [finding for finding in answer["findings"] if finding["state"] == "warning"]
    assert answer["warnings"] == len(warned)
    assert {finding["found"].split(":")[0] for finding in warned} == {
        "every topic",  # one copy only
        f"group {own.app_id} has no members",
    }
    assert all(finding["advice"] for finding in warned)
    assert {finding["area"] for finding in answer["findings"]} == {
        *("versions", "Kafka", "topics", "counting", "records", "dead letters", "Redis", "clock", "alerts", "HTTP")
    }


def test_the_report_fits_the_screen_and_says_what_to_do(own: Settings) -> None:
    output = run(own, "doctor").output
    assert "0 problems, 2 warnings." in output
    assert "→ start one: `stream-app worker`" in output
    assert max(map(len, output.splitlines())) <= 110


def test_missing_topics_are_a_problem_and_the_rest_is_examined(brokers: str) -> None:
    settings = settings_of(brokers, "doctor-of-nothing")
    found = list(check_all(settings))
    missing = the_one(found, "missing")
    assert missing.state is Severity.PROBLEM
    assert missing.found.count("doctor-of-nothing") == len(needed_topics_of(settings))
    assert missing.advice == "create it with `stream-app topics create`"
    assert the_one(found, "no lag")
    assert run(settings, "doctor").exit_code == 1


def test_topics_of_other_partitions_are_a_problem(own: Settings) -> None:
    found = findings(msgspec.structs.replace(own, partitions=3), "topics")
    assert "2 partitions instead of 3" in the_one(found, own.posts_topic).found
    assert worst(found) is Severity.PROBLEM


@pytest.mark.parametrize("brokers", [APACHE], indirect=True)
def test_configs_that_lose_records_are_reported(own: Settings) -> None:
    name = own.app_id
    wrong = {
        own.posts_topic: {"cleanup.policy": "compact"},
        own.cuts_topic: {"cleanup.policy": "compact,delete"},
        f"{name}-segments-changelog": {"max.message.bytes": "900000"},
        own.flags_topic: {"unclean.leader.election.enable": "true"},
    }
    with open_admin(own) as admin:
        admin.delete_topics(list(wrong))
        for topic, configs in wrong.items():
            partitions = 1 if topic == own.cuts_topic else PARTITIONS
            made_so = {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}}
            admin.create_topics(made_so, wait_for_metadata=True)
    found = findings(own, "topics")
    assert the_one(found, f"{own.posts_topic}: cleanup.policy compact").advice.endswith("cleanup.policy=delete")
    assert the_one(found, f"{own.cuts_topic}: cleanup.policy compact,delete").state is Severity.PROBLEM
    assert "max.message.bytes=4000000" in the_one(found, "segments-changelog: takes records of 900000").advice
    assert the_one(found, f"{own.flags_topic}: unclean").state is Severity.WARNING


def test_records_of_a_wrong_producer_are_found_with_an_example(own: Settings) -> None:
    right: list[Any] = [(place_of(user), user.encode(), event(user), []) for user in map("u{}".format, range(20))]
    strange: Any = (1 - place_of("ann"), b"ann", event("ann"), [])
    produce(own, own.posts_topic, [*right, strange, (0, b"bob", event("carla"), []), (1, b"dora", b"{", [])])
    produce(own, own.shares_topic, [(0, None, event("eve", kind="share"), [])] * 3)
    posts, shares = (the_one(findings(own, "records"), topic) for topic in own.input_topics)
    assert posts.state is Severity.WARNING
    assert "of the newest 23 13.0 % cannot be counted" in posts.found
    assert all(reason in posts.found for reason in ("1 not-json", "1 key-not-user", "1 wrong-partition"))
    assert shares.state is Severity.PROBLEM
    assert "the key is not the user_id" in shares.advice


def test_a_partitioner_of_ones_own_is_not_checked(own: Settings) -> None:
    produce(own, own.posts_topic, [(1 - place_of("ann"), b"ann", event("ann"), [])])
    settings = msgspec.structs.replace(own, partitioner="any")
    assert "can all be counted" in the_one(findings(settings, "records"), own.posts_topic).found


def test_recent_dead_letters_are_counted(own: Settings) -> None:
    posts = own.posts_topic
    put(own, [dead_letter(posts, 1), dead_letter(posts, 1), dead_letter(posts, 2, reason="empty")])
    found = the_one(findings(own, "dead letters"), own.dead_letters_topic)
    assert found.state is Severity.WARNING
    assert "1 not-json, 1 empty in the last 24 hours" in found.found


def test_records_that_nobody_counts_are_a_problem(own: Settings) -> None:
    produce(own, own.posts_topic, [(1, b"ann", event("ann"), [])] * 3)
    found = the_one(findings(own, "counting"), "not counted yet")
    assert found.state is Severity.PROBLEM
    assert f"3 records not counted yet: {own.posts_topic}-1 3" in found.found


@pytest.mark.timeout(120)
@BOTH_BROKERS
def test_a_running_tracker_is_well_and_one_whose_topic_was_made_again_is_not(brokers: str, tmp_path: Path) -> None:
    name = f"doctor-run{abs(hash(brokers))}"
    with tracker(variables(brokers, name, partitions="2"), tmp_path, workers=1) as tracked:
        settings = tracked.settings
        produce(settings, settings.posts_topic, [(place_of("ann"), b"ann", event("ann", ts=1_700_000_000_000), [])] * 3)
        with following(tracked, settings.curves_topic) as follower:
            follower.until_read(3, WAIT_S)
        found = findings(settings, "counting")
        assert worst(found) is Severity.OK, found
        assert the_one(found, ": 1 worker, stable")
        assert the_one(found, "no lag")
        assert the_one(found, "the ledgers decide")
    with open_admin(settings) as admin:
        admin.delete_topics([settings.posts_topic])
    made(settings)
    beyond = the_one(findings(settings, "counting"), "other records were counted than there are now")
    assert beyond.state is Severity.PROBLEM
    assert f"{settings.posts_topic}-{place_of('ann')} to 3 of 0" in beyond.found
    assert "stream-app reset" in beyond.advice
    produce(settings, settings.posts_topic, [(place_of("ann"), b"ann", event("ann"), [])] * 4)
    assert "to 3 of 4" in the_one(findings(settings, "counting"), "other records were counted").found


@contextmanager
def mute_server() -> Iterator[int]:
    """Accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.slow
def test_servers_that_never_answer_are_reported_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_COMMAND_TIMEOUT_MS", 1000)
    for module in (clients, machine, redis):
        monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 1.0)
    with mute_server() as port:
        settings = settings_of(
            f"127.0.0.1:{port}", "mute", redis_url=f"redis://127.0.0.1:{port}/0", http_host="127.0.0.1", http_port=port
        )
        started = time.monotonic()
        found = list(check_all(settings))
        assert time.monotonic() - started < 10
    assert the_one(found, f"cannot connect to Kafka at 127.0.0.1:{port}").state is Severity.PROBLEM
    assert the_one(found, f"127.0.0.1:{port}/0: Timeout").area == "Redis"
    assert the_one(found, "does not answer as a worker does").state is Severity.WARNING


def test_a_broker_that_ends_in_the_middle_does_not_hold_up_the_rest() -> None:
    with ExitStack() as stack:
        brokers = stack.enter_context(embedded_broker())
        settings = made(settings_of(brokers, "ends"))
        found = []
        for finding in check_all(settings):
            found.append(finding)
            if finding.area == "Kafka":
                stack.close()
    assert [finding.area for finding in found[-3:]] == ["Redis", "alerts", "HTTP"]
    assert worst(found) is Severity.PROBLEM


@pytest.fixture
def own_redis() -> Iterator[tuple[str, Redis]]:
    """A Redis whose settings the test may change."""
    with embedded_redis() as url, Redis.from_url(url) as client:
        yield url, client


def redis_findings(url: str) -> list[Finding]:
    return list(redis.redis(settings_of("127.0.0.1:1", "redis", redis_url=url)))


def test_a_redis_that_may_drop_the_board_is_reported(own_redis: tuple[str, Redis]) -> None:
    url, client = own_redis
    assert worst(redis_findings(url)) is Severity.OK
    client.config_set("maxmemory", "100mb")
    assert worst(redis_findings(url)) is Severity.OK
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert the_one(redis_findings(url), "allkeys-lru: when it is full").state is Severity.WARNING


def test_a_redis_user_without_scripts_is_reported(own_redis: tuple[str, Redis]) -> None:
    url, client = own_redis
    client.acl_setuser("few", enabled=True, passwords=["+secret"], keys=["*"], commands=["+ping", "+get"])
    found = redis_findings(url.replace("//", "//few:secret@"))
    assert the_one(found, "INFO is not allowed").state is Severity.OK
    assert the_one(found, "scripts are not allowed").advice == "allow EVALSHA and SCRIPT LOAD to this user"
    assert "secret" not in str(found)


def test_a_clock_that_differs_is_reported(own_redis: tuple[str, Redis], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    monkeypatch.setattr(redis, "time", lambda: now() + 5)
    assert the_one(redis_findings(own_redis[0]), "5.0 s ahead of that of Redis").state is Severity.WARNING


def test_a_missing_redis_and_a_wrong_url_are_reported() -> None:
    assert redis_findings("") == [Finding("Redis", Severity.OK, "no board: STREAM_APP_REDIS_URL is empty")]
    assert worst(redis_findings("redis://127.0.0.1:1/0")) is Severity.PROBLEM
    with pytest.raises(ValueError, match="write it like redis://"):
        redis_findings("nonsense")


@contextmanager
def answering(status: int) -> Iterator[int]:
    """An HTTP server on a port that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"recovered": false}')

        def log_message(self, *_arguments: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        (200, Severity.OK, "is ready"),
        (503, Severity.PROBLEM, '{"recovered": false}'),
        (404, Severity.WARNING, "answers 404"),
    ],
)
def test_the_worker_of_this_machine_is_asked(status: int, state: Severity, text: str) -> None:
    with answering(status) as port:
        (found,) = machine.worker(Settings(http_host="0.0.0.0", http_port=port))  # noqa: S104 - where it might listen
    assert found.state is state
    assert text in found.found
