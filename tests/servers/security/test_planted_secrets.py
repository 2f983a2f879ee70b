"""Secrets planted everywhere are found nowhere: not in logs, metrics, answers, errors, listings or process lists."""

import re
from pathlib import Path

import pytest

from stream_app.demo.embedded.process import free_port
from stream_app.demo.workers import Workers
from stream_app.settings import SECRETS, Settings, environment_name, load
from tests.servers.certificates import Authority
from tests.servers.security.parts import (
    KAFKA_PASSWORDS,
    REDIS_PASSWORDS,
    Secured,
    a_token,
    a_worker,
    answer,
    asked,
    events,
    own_topics,
    until,
)
from tests.tools.acls import kafka_acls
from tests.waiting import eventually

KEY_PASSWORD = "planted-key-password"
TOKEN = "planted-http-token"
PLANTED = re.compile("planted|eyJ")
"""Of every secret of these tests, and of OAuth tokens."""
WAIT_S = 10.0
PATHS = (
    *("/", "/metrics", "/livez", "/readyz", "/nowhere"),
    *(f"/api/v1/{path}" for path in ("about", "health", "topics", "cuts", "influencers")),
    *(f"/api/v1/{path}" for path in ("flags", "flag-quality", "users/nobody")),
)
pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
"""asyncio forgets the transport of a refused TLS handshake."""


@pytest.fixture
def everything(kafka: Secured, redis_address: str, authority: Authority, tmp_path: Path) -> dict[str, str]:
    """A worker's variables with every secret there is, and DEBUG."""
    own = authority.sign("leak-client", password=KEY_PASSWORD)
    (tmp_path / "password").write_text(KAFKA_PASSWORDS["worker"] + "\n")
    given = {
        **own_topics("leak"),
        "partitions": 1,
        "log_level": "DEBUG",
        "min_users": 3,
        "min_impressions": 1,
        "http_port": free_port(),
        "kafka_cert_file": own.cert,
        "kafka_key_file": own.key,
        "kafka_key_password": KEY_PASSWORD,
        "redis_url": f"rediss://worker:{REDIS_PASSWORDS['worker']}@{redis_address}/0",
        "redis_ca_file": authority.cert,
        "redis_cert_file": own.cert,
        "redis_key_file": own.key,
        "redis_key_password": KEY_PASSWORD,
        "person_key": "planted-person-key",
        "http_token": TOKEN,
        "peer_secret": "planted-peer-secret",
        "otlp_url": "http://ann:planted-otlp@127.0.0.1:1/v1/metrics",
        "otlp_token": "planted-otlp-token",
        "otlp_every_s": "1s",
    }
    variables = kafka.variables("worker", **given)
    del variables["STREAM_APP_KAFKA_PASSWORD"]
    variables["STREAM_APP_KAFKA_PASSWORD_FILE"] = str(tmp_path / "password")
    settings = load(variables)
    assert [name for name in SECRETS if not PLANTED.search(getattr(settings, name).reveal())] == []
    for user, command in (("creator", "topics create"), ("worker", "worker"), ("producer", "replay")):
        kafka.allow(user, kafka_acls(settings)[command])
    assert asked(kafka.variables("creator", **own_topics("leak"), partitions=1), "topics", "create").exit_code == 0
    replayed = asked(kafka.variables("producer", **own_topics("leak")), "replay", str(events(tmp_path)))
    assert replayed.exit_code == 0
    return variables


def test_a_worker_shows_no_secret_anywhere_while_it_works(everything: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with a_worker(everything, log) as worker:
        port = load(everything).http_port
        until(lambda: "influence_redis_up 1.0" in answer(port, "/metrics", TOKEN), log)
        until(lambda: "influence_flags_total{" in answer(port, "/metrics", TOKEN), log)
        shown = [answer(port, path, token) for path in PATHS for token in (TOKEN, "", "wrong")]
        shown += command_lines(worker.pid)
        assert worker.poll() is None
    said = log.read_text()
    assert "sasl_plain_password': '***'" in said  # a library did log its configuration
    assert [PLANTED.search(text) for text in (said, *shown)] == [None] * (1 + len(shown))


def test_errors_and_listings_show_no_secret(everything: dict[str, str], kafka: Secured, tmp_path: Path) -> None:
    wrong = {**everything, "STREAM_APP_BROKERS": kafka.cluster.administration}
    nowhere = {**everything, "STREAM_APP_BROKERS": "127.0.0.1:1"}
    malformed = {**everything, "STREAM_APP_REDIS_URL": "rediss://ann:planted/1#2@127.0.0.1:x/0"}
    refused = {**everything, "STREAM_APP_REDIS_URL": everything["STREAM_APP_REDIS_URL"].replace("worker:", "top:")}
    mixed = {**everything, "STREAM_APP_KAFKA_PROTOCOL": "PLAINTEXT"}
    bad = {**everything, "STREAM_APP_KAFKA_SASL": "NONSENSE"}
    for environ in (everything, wrong, nowhere, malformed, refused, mixed, bad):
        for command in (
            ("settings",),
            ("settings", "--json"),
            ("topics", "check"),
            ("watch", "--limit", "1", "--from-beginning"),
            ("replay", str(tmp_path / "events.jsonl")),
            ("top",),
        ):
            if environ in (everything, malformed, refused) and command[0] == "watch":
                continue  # it would watch: a worker may read flags, and needs no Redis for that
            result = asked(environ, *command)
            assert not PLANTED.search(result.output), command
            assert result.exit_code in {0, 1, 2}
            assert "Traceback" not in result.output
            assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_token_shows_nowhere(kafka: Secured, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(a_token("worker", 600))
    mine = {"kafka_sasl": "OAUTHBEARER", "kafka_token_file": tmp_path / "token", "kafka_user": "", "kafka_password": ""}
    given = {**own_topics("leak"), "partitions": 1, "log_level": "DEBUG", "http_port": free_port()}
    variables = kafka.variables("worker", **mine, **given)
    kafka.allow("worker", kafka_acls(load(variables))["worker"])
    kafka.allow("creator", kafka_acls(load(variables))["topics create"])
    asked(kafka.variables("creator", **own_topics("leak"), partitions=1), "topics", "create")
    log = tmp_path / "log.txt"
    with a_worker(variables, log):
        until(lambda: '"ready": true' in answer(load(variables).http_port, "/readyz"), log)
    assert " DEBUG " in log.read_text()
    assert not PLANTED.search(log.read_text())


def test_workers_of_ours_get_their_secrets_where_nobody_sees_them(everything: dict[str, str], tmp_path: Path) -> None:
    settings: Settings = load(everything)
    assert settings.kafka_password.reveal() == KAFKA_PASSWORDS["worker"]
    with Workers(settings, 1, tmp_path) as workers:
        pid, given = workers._workers[0].process.pid, f"{environment_name('kafka_password')}=planted".encode()
        # A process that is just being replaced by the program it is to run has neither for a moment.
        assert eventually(lambda: given in Path(f"/proc/{pid}/environ").read_bytes(), WAIT_S)
        assert eventually(lambda: "".join(command_lines(pid)) != "", WAIT_S)
        assert not PLANTED.search("".join(command_lines(pid)))


def command_lines(pid: int) -> list[str]:
    """What everybody can see of a process and its children."""
    lines = [Path(f"/proc/{pid}/cmdline").read_text()]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        lines += [line for child in children.read_text().split() for line in command_lines(int(child))]
    return lines
