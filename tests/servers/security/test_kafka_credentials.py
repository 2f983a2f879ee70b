"""Kafka with TLS and SASL, on real servers: every protocol and mechanism works, every refusal says what to do."""

from pathlib import Path

import pytest

from stream_app.kafka.reachability import UnreachableError, require_reachable
from stream_app.kafka.topics import check
from stream_app.settings import SettingsError, load
from tests.servers.certificates import Authority
from tests.servers.secure import secure_kafka, tls
from tests.servers.security.parts import Secured, a_token

pytestmark = pytest.mark.timeout(120)


def refused(variables: dict[str, str]) -> str:
    """The one line that a command ends with."""
    with pytest.raises((UnreachableError, SettingsError)) as caught:
        require_reachable(load(variables))
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_a_user_with_a_password_is_taken(kafka: Secured, mechanism: str) -> None:
    settings = load(kafka.variables("nobody", kafka_sasl=mechanism))
    require_reachable(settings)
    assert not any(found.exists for found in check(settings))


def test_a_token_is_read_from_its_file_for_every_connection(kafka: Secured, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(a_token("nobody", 600))
    mine = {"kafka_sasl": "OAUTHBEARER", "kafka_token_file": token, "kafka_user": "", "kafka_password": ""}
    settings = load(kafka.variables("nobody", **mine))
    assert not any(found.exists for found in check(settings))
    token.write_text(a_token("nobody", -600))
    assert "STREAM_APP_KAFKA_TOKEN_FILE: is it valid still" in refused(kafka.variables("nobody", **mine))
    token.write_text(a_token("nobody", 600))
    require_reachable(settings)


def test_a_certificate_of_ours_is_taken(kafka_with_certificates: Secured, authority: Authority) -> None:
    own, locked = authority.sign("client"), authority.sign("locked-client", password="planted-key")
    for files in (
        {"kafka_cert_file": own.cert, "kafka_key_file": own.key},
        {"kafka_cert_file": own.both},
        {"kafka_cert_file": locked.cert, "kafka_key_file": locked.key, "kafka_key_password": "planted-key"},
    ):
        settings = load(kafka_with_certificates.variables(**files))
        require_reachable(settings)
        assert not any(found.exists for found in check(settings))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_is_reported(kafka: Secured, mechanism: str) -> None:
    text = refused(kafka.variables("nobody", kafka_sasl=mechanism, kafka_password="planted-wrong"))
    assert "Kafka refuses the user nobody or the password: set STREAM_APP_KAFKA_USER" in text
    assert "planted" not in text


def test_a_certificate_signed_by_an_unknown_authority_is_reported(kafka: Secured, stranger: Authority) -> None:
    assert f"STREAM_APP_KAFKA_CA_FILE ({str(stranger.cert)!r}) must hold the certificate of the CA" in refused(
        kafka.variables("nobody", kafka_ca_file=stranger.cert)
    )
    assert "STREAM_APP_KAFKA_CA_FILE (empty: those that the system trusts)" in refused(
        kafka.variables("nobody", kafka_ca_file="")
    )


def test_a_certificate_for_another_host_is_reported(kafka: Secured) -> None:
    there = kafka.cluster.brokers.replace("127.0.0.1", "localhost")
    assert "STREAM_APP_BROKERS, and what the brokers advertise, must be names that their certificates hold" in refused(
        kafka.variables("nobody", brokers=there)
    )


def test_an_expired_certificate_is_reported(authority: Authority, tmp_path: Path) -> None:
    expired = authority.sign("expired-broker", "127.0.0.1", days=-1)
    with secure_kafka(tmp_path, "SSL", tls(expired, authority.cert)) as cluster:
        assert "Kafka's certificate has expired" in refused(Secured(cluster, authority).variables())


def test_a_client_certificate_that_is_missing_or_refused_is_reported(
    kafka_with_certificates: Secured, authority: Authority, stranger: Authority
) -> None:
    ask = kafka_with_certificates.variables
    message = "Kafka refuses our certificate: see STREAM_APP_KAFKA_CERT_FILE and STREAM_APP_KAFKA_KEY_FILE"
    assert message in refused(ask())
    assert message in refused(ask(kafka_cert_file=stranger.sign("client").both))
    assert message in refused(ask(kafka_cert_file=authority.sign("old-client", days=-1).both))


def test_the_wrong_protocol_is_reported(kafka: Secured) -> None:
    login = {"kafka_user": "nobody", "kafka_password": "x", "kafka_ca_file": ""}
    brokers, plain = kafka.cluster.brokers, kafka.cluster.administration
    for given, message in (
        ({"kafka_protocol": "PLAINTEXT", "brokers": brokers}, "is PLAINTEXT: does it speak TLS?"),
        ({"kafka_protocol": "SASL_PLAINTEXT", "brokers": brokers, **login}, "SASL_PLAINTEXT: does it speak TLS?"),
        ({"kafka_protocol": "SSL", "brokers": plain}, "does it speak TLS there? STREAM_APP_KAFKA_PROTOCOL is SSL"),
        ({"kafka_protocol": "SASL_PLAINTEXT", "brokers": plain, **login}, "does not offer SCRAM-SHA-512"),
    ):
        assert message in refused({f"STREAM_APP_{name.upper()}": value for name, value in given.items()})
    assert "by SCRAM-SHA-512" in (text := refused(kafka.variables()))
    assert "STREAM_APP_KAFKA_PROTOCOL is SSL: set it to SASL_SSL" in text


def test_unusable_files_are_reported(kafka_with_certificates: Secured, authority: Authority) -> None:
    own, locked = authority.sign("files-client"), authority.sign("files-locked", password="planted-key")
    locked_files = {"kafka_cert_file": locked.cert, "kafka_key_file": locked.key}
    for given, message in (
        ({"kafka_ca_file": "nowhere.pem"}, "STREAM_APP_KAFKA_CA_FILE='nowhere.pem': the file cannot be read"),
        ({"kafka_ca_file": __file__}, "holds no certificate in PEM form"),
        ({"kafka_cert_file": "nowhere.pem"}, "STREAM_APP_KAFKA_CERT_FILE='nowhere.pem': there is no such file"),
        ({"kafka_cert_file": own.cert, "kafka_key_file": "nowhere"}, "_KEY_FILE='nowhere': there is no such file"),
        ({"kafka_cert_file": own.cert}, "the client certificate and its key cannot be used"),
        ({"kafka_cert_file": own.cert, "kafka_key_file": locked.key}, "does the key need another STREAM_APP_KAFKA_KEY"),
        (locked_files, "does the key need another STREAM_APP_KAFKA_KEY_PASSWORD?"),
        ({**locked_files, "kafka_key_password": "planted-wrong"}, "STREAM_APP_KAFKA_KEY_PASSWORD?"),
    ):
        text = refused(kafka_with_certificates.variables(**given))
        assert message in text
        assert "planted" not in text
