"""Apache Kafka as in production: TLS, SASL, and ACLs that deny by default."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.apache import ApacheKafkaMissing, Cluster, apache_kafka, libraries
from tests.servers.certificates import Certificate

_LOGIN = "org.apache.kafka.common.security"
_MODULES = {
    "scram-sha-256": f"{_LOGIN}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{_LOGIN}.scram.ScramLoginModule required;",
    "oauthbearer": f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
}
ACLS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "super.users": "User:ANONYMOUS",  # nobody but the brokers themselves, and the administration on their own listener
}


def tls(server: Certificate, authority: Path, *, ask_clients: bool = False) -> dict[str, str]:
    """The configuration of a listener with TLS."""
    prefix = "listener.name.clients.ssl"
    return {
        f"{prefix}.keystore.type": "PEM",
        f"{prefix}.keystore.location": str(server.both),
        f"{prefix}.truststore.type": "PEM",
        f"{prefix}.truststore.location": str(authority),
        f"{prefix}.client.auth": "required" if ask_clients else "none",
    }


def sasl(passwords: Mapping[str, str]) -> dict[str, str]:
    """The configuration of a listener with every mechanism; `passwords` are those for PLAIN."""
    users = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
    modules = {**_MODULES, "plain": f"{_LOGIN}.plain.PlainLoginModule required {users};"}
    return {
        "sasl.enabled.mechanisms": ",".join(name.upper() for name in modules),
        **{f"listener.name.clients.{name}.sasl.jaas.config": module for name, module in modules.items()},
    }


def scram(passwords: Mapping[str, str]) -> list[str]:
    """Users with a password, as kafka-storage takes them."""
    return [
        f"{mechanism}=[name={user},password={password}]"
        for user, password in passwords.items()
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    ]


@contextmanager
def secure_kafka(
    folder: Path, protocol: str, settings: Mapping[str, str], passwords: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """One node; skips where Java or Maven is missing."""
    try:
        libraries()
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))
    with apache_kafka(folder, protocol=protocol, settings=settings, scram=scram(passwords or {})) as cluster:
        yield cluster
