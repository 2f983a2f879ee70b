"""Servers with TLS, users and ACLs for the tests of this folder; each is started when it is first asked for."""

from collections.abc import Iterator

import pytest

from stream_app.settings import NAMES, environment_name
from tests.servers.certificates import Authority
from tests.servers.redis_tls import redis_with_tls
from tests.servers.secure import ACLS, sasl, secure_kafka, tls
from tests.servers.security.parts import KAFKA_PASSWORDS, REDIS_PASSWORDS, Secured, redis_rules
from tests.tools.acls import redis_commands


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(environment_name(name), raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of all servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="session")
def kafka(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Kafka with SASL_SSL and every mechanism, where nothing is allowed without an ACL."""
    settings = {**tls(authority.sign("broker", "127.0.0.1"), authority.cert), **sasl(KAFKA_PASSWORDS), **ACLS}
    with secure_kafka(tmp_path_factory.mktemp("kafka"), "SASL_SSL", settings, KAFKA_PASSWORDS) as cluster:
        yield Secured(cluster, authority)


@pytest.fixture(scope="session")
def kafka_with_certificates(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Kafka that asks its clients for certificates (mTLS)."""
    settings = tls(authority.sign("asking-broker", "127.0.0.1"), authority.cert, ask_clients=True)
    with secure_kafka(tmp_path_factory.mktemp("kafka"), "SSL", settings) as cluster:
        yield Secured(cluster, authority)


@pytest.fixture(scope="session")
def redis_address(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a Redis with TLS; its users may do exactly what the commands of their names need."""
    rules = {name: redis_rules(REDIS_PASSWORDS[name], commands) for name, commands in redis_commands().items()}
    server = authority.sign("redis", "127.0.0.1")
    with redis_with_tls(server, authority, rules, tmp_path_factory.mktemp("redis")) as address:
        yield address
