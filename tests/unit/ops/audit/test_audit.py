"""The startup audit: every danger is found with advice, and refused in production; no false findings."""

from collections.abc import Mapping

import pytest
from click.testing import CliRunner

from stream_app import worker as worker_module
from stream_app.cli import main
from stream_app.findings import Finding, danger
from stream_app.kafka import topics as topics_module
from stream_app.kafka.topics import create, topics_of
from stream_app.logs.repeats import Repeats
from stream_app.ops.audit import startup
from stream_app.ops.audit.startup import AuditError, audit, fetch, require_safe
from stream_app.ops.audit.topics import TopicFacts
from stream_app.settings import Settings, load
from stream_app.settings.secret import Secret, SecretUrl
from stream_app.worker import run_worker
from tests.servers.brokers import BOTH_BROKERS

SAFE = {
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
}


def facts(settings: Settings, **changed: TopicFacts) -> dict[str, TopicFacts]:
    """Everything as it should be, but for the topics named."""
    good = {topic.name: TopicFacts(topic.partitions, 3, {**SAFE, **topic.config}) for topic in topics_of(settings)}
    return {**good, **{getattr(settings, name): fact for name, fact in changed.items()}}


def found(settings: Settings, known: Mapping[str, TopicFacts] | None = None) -> list[Finding]:
    return audit(settings, facts(settings) if known is None else known)


def test_the_audit_finds_nothing_on_a_safe_cluster() -> None:
    assert found(Settings()) == []
    assert found(Settings(brokers="127.0.0.1:1,localhost:2,[::1]:3", http_host="::1")) == []
    secure = Settings(
        brokers="kafka:9093",
        kafka_protocol="SASL_SSL",
        kafka_sasl="PLAIN",
        kafka_user="ann",
        kafka_password=Secret("secret"),
        redis_url=SecretUrl("rediss://redis:6380/0"),
        production=True,
    )
    assert found(secure) == []


@pytest.mark.parametrize(
    ("settings", "where", "what", "advice"),
    [
        (Settings(brokers="127.0.0.1:1,kafka:2"), "BROKERS", "PLAINTEXT to kafka:2", "PROTOCOL to SSL or SASL_SSL"),
        (
            Settings(
                brokers="10.0.0.1:9092",
                kafka_protocol="SASL_PLAINTEXT",
                kafka_user="ann",
                kafka_password=Secret("secret"),
            ),
            "BROKERS",
            "SASL_PLAINTEXT to 10.0.0.1:9092",
            "PROTOCOL to SASL_SSL",
        ),
        (
            Settings(
                kafka_protocol="SASL_PLAINTEXT", kafka_sasl="PLAIN", kafka_user="ann", kafka_password=Secret("secret")
            ),
            "KAFKA_SASL",
            "sends the password as it is",
            "SCRAM-SHA-512",
        ),
        (Settings(redis_url=SecretUrl("redis://ann:secret@cache:1/0")), "REDIS_URL", "no TLS to cache", "rediss://"),
        (
            Settings(redis_url=SecretUrl("rediss://cache:1/0?ssl_cert_reqs=none")),
            "REDIS_URL",
            "turns off the check of Redis' certificate",
            "STREAM_APP_REDIS_CA_FILE",
        ),
        (Settings(http_host="0.0.0.0"), "HTTP_HOST", "everybody who can reach it", "127.0.0.1"),  # noqa: S104
        (Settings(http_host="::"), "HTTP_HOST", "everybody who can reach it", "127.0.0.1"),
        (Settings(http_host="metrics.example"), "HTTP_HOST", "metrics.example", "127.0.0.1"),
    ],
)
def test_a_dangerous_address_is_found(settings: Settings, where: str, what: str, advice: str) -> None:
    (finding,) = found(settings)
    assert finding.is_danger
    assert finding.area.endswith(where)
    assert what in finding.found
    assert advice in finding.advice
    assert "secret" not in str(finding)


@pytest.mark.parametrize(
    ("fact", "what", "advice"),
    [
        (TopicFacts(8, 1, SAFE), "one copy only", "--replication 3"),
        (TopicFacts(8, 3, SAFE | {"min.insync.replicas": "1"}), "min.insync.replicas 1", "min.insync.replicas=2"),
        (TopicFacts(8, 2, SAFE | {"min.insync.replicas": "3"}), "nothing can be written", "min.insync.replicas=1"),
        (TopicFacts(8, 3, SAFE | {"unclean.leader.election.enable": "true"}), "unclean", "enable=false"),
        (TopicFacts(8, 3, SAFE | {"cleanup.policy": "compact"}), "same key are deleted", "cleanup.policy=delete"),
        (TopicFacts(8, 3, None), "may not be seen", "DescribeConfigs"),
    ],
)
def test_a_danger_of_a_topic_is_found(fact: TopicFacts, what: str, advice: str) -> None:
    settings = Settings()
    (finding,) = found(settings, facts(settings, posts_topic=fact))
    assert (finding.area, finding.is_danger) == (settings.posts_topic, True)
    assert what in finding.found
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("copies", "advice"), [(2, "have three copies, or"), (3, "kafka-configs.sh --bootstrap-server … --alter")]
)
def test_copies_that_must_all_be_there_are_a_warning(copies: int, advice: str) -> None:
    settings = Settings()
    strict = TopicFacts(8, copies, SAFE | {"min.insync.replicas": str(copies)})
    (finding,) = found(settings, facts(settings, posts_topic=strict))
    assert not finding.is_danger
    assert f"{copies} of {copies} copies: nothing can be written while a broker is down" in finding.found
    assert finding.advice.startswith(advice)
    assert finding.advice.endswith(f"--topic influence.posts --add-config min.insync.replicas={copies - 1}")


def test_state_that_is_deleted_by_age_is_found() -> None:
    settings = Settings()
    for policy in ("delete", "compact,delete"):
        wrong = TopicFacts(8, 3, SAFE | {"cleanup.policy": policy})
        (finding,) = found(settings, facts(settings, standings_topic=wrong))
        assert "deleted by age" in finding.found


def test_unequal_input_topics_are_found() -> None:
    settings = Settings()
    (finding,) = found(settings, facts(settings, shares_topic=TopicFacts(4, 3, SAFE)))
    assert "influence.posts has 8, influence.shares has 4" in finding.found


def test_inputs_that_are_kept_for_less_than_the_window_are_a_warning() -> None:
    settings = Settings(window_s=8 * 86_400.0)
    (finding,) = found(settings)
    assert finding.area == "influence.posts, influence.shares, influence.retractions"
    assert not finding.is_danger
    assert "retention.ms=691200000" in finding.advice
    forever = TopicFacts(8, 3, SAFE | {"retention.ms": "-1"})
    assert found(settings, facts(settings, posts_topic=forever, shares_topic=forever, retractions_topic=forever)) == []


def test_settings_that_a_broker_does_not_report_are_not_judged() -> None:
    settings = Settings(window_s=900 * 86_400.0)
    silent = {name: TopicFacts(fact.partitions, 3, {}) for name, fact in facts(settings).items()}
    assert found(settings, silent) == []


@BOTH_BROKERS
def test_a_real_broker_is_asked(brokers: str) -> None:
    names = {name: f"audit.{name}" for name in Settings.__struct_fields__ if name.endswith("_topic")}
    settings = Settings(brokers=brokers, app_id="audit", partitions=2, **names)  # type: ignore[arg-type]
    create(settings)
    known = fetch(settings)
    assert {*known} == {topic.name for topic in topics_of(settings)}
    (finding,) = audit(settings, known)
    assert (finding.area, finding.is_danger) == ("every topic", True)
    assert "one copy only" in finding.found
    with pytest.raises(AuditError, match=r"not fit for production[^\n]*\n  every topic: one copy only"):
        require_safe(load({"STREAM_APP_PRODUCTION": "true", **as_given(settings)}))


def as_given(settings: Settings) -> dict[str, str]:
    names = ("brokers", "app_id", "partitions", *(name for name in settings.__struct_fields__ if "_topic" in name[-6:]))
    return {f"STREAM_APP_{name.upper()}": str(getattr(settings, name)) for name in names}


def test_a_worker_warns_and_in_production_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    monkeypatch.setattr(topics_module, "require", lambda _settings: None)
    monkeypatch.setattr(startup, "fetch", lambda _settings: facts(settings, posts_topic=TopicFacts(8, 1, SAFE)))
    logged: list[Finding] = []
    monkeypatch.setattr(worker_module, "run_worker", lambda _settings, found: logged.extend(found))
    warned = CliRunner().invoke(main, ["worker", "--http-port", "0"])
    assert warned.exit_code == 0
    assert ["influence.posts: one copy only" in str(finding) for finding in logged] == [True]
    refused = CliRunner().invoke(main, ["worker", "--http-port", "0", "--production", "true"])
    assert refused.exit_code == 1
    assert "Error: not fit for production (STREAM_APP_PRODUCTION):\n  influence.posts: one copy only" in refused.stderr
    assert "Traceback" not in refused.output


def test_every_finding_of_the_audit_is_logged_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two findings are no repetition of each other, though they are logged by the same line of code."""
    monkeypatch.setattr(worker_module, "start_logging", lambda _settings: None)
    monkeypatch.setattr(worker_module._Worker, "run", lambda _self: 0)
    monkeypatch.setattr(worker_module._Worker, "__init__", lambda _self, _settings: None)
    found = [danger(name, "one copy only", "have three") for name in ("posts", "shares")]
    assert run_worker(Settings(), found) == 0
    repeats = Repeats()
    assert [record.getMessage() for record in caplog.records if repeats.is_news(record, 0.0)] == [*map(str, found)]
