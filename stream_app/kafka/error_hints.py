"""Hints for errors of Kafka: what to do about each error of the client libraries, in one clause."""

import ssl

from stream_app.settings import Settings

_EXPIRED = 10
_NOT_FOR_HOST = {62, 64}
"""Of OpenSSL: X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_ACLS = "docs/security.md lists the ACLs that each command needs"


def kafka_advice(error: BaseException, settings: Settings) -> str:
    """What to do about `error`; empty where its own text says enough, or it is no refusal."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _about_certificate(error, settings)
    if isinstance(error, ssl.SSLError) and _is_about_our_certificate(error):
        return "Kafka refuses our certificate: see STREAM_APP_KAFKA_CERT_FILE and STREAM_APP_KAFKA_KEY_FILE"
    if isinstance(error, ssl.SSLError):
        return f"does it speak TLS there? STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}"
    # By name: aiokafka and kafka-python each have errors of their own.
    match type(error).__name__:
        case "SaslAuthenticationFailedError" | "SaslAuthenticationFailed":
            return refused(settings)
        case "UnsupportedSaslMechanismError":
            return f"STREAM_APP_KAFKA_SASL is {settings.kafka_sasl}: set it to one that the brokers have"
        case "TopicAuthorizationFailedError" | "GroupAuthorizationFailedError" | "ClusterAuthorizationFailedError":
            return f"{who(settings)} lacks a permission: {_ACLS}"
    return ""


def or_unseen(settings: Settings) -> str:
    """The other meaning of `no such topic`: Kafka says the same to a user who may not describe the topic."""
    return "" if settings.kafka_protocol == "PLAINTEXT" else f" (or {who(settings)} may not see it: {_ACLS})"


def refused(settings: Settings) -> str:
    """What to do when Kafka refuses our credentials."""
    if settings.kafka_sasl == "OAUTHBEARER":
        return "Kafka refuses the token in STREAM_APP_KAFKA_TOKEN_FILE: is it valid still, and meant for these brokers?"
    return (
        f"Kafka refuses {who(settings)} or the password: set STREAM_APP_KAFKA_USER, STREAM_APP_KAFKA_PASSWORD (or "
        f"its _FILE) and STREAM_APP_KAFKA_SASL ({settings.kafka_sasl}) to what it knows, and start again"
    )


def who(settings: Settings) -> str:
    """Our user, as Kafka knows it."""
    return f"the user {settings.kafka_user}" if settings.kafka_user else "our user"


def _about_certificate(error: ssl.SSLCertVerificationError, settings: Settings) -> str:
    if error.verify_code == _EXPIRED:
        return "Kafka's certificate has expired: it has to be renewed"
    if error.verify_code in _NOT_FOR_HOST:
        return "STREAM_APP_BROKERS, and what the brokers advertise, must be names that their certificates hold"
    trusted = repr(settings.kafka_ca_file) if settings.kafka_ca_file else "empty: those that the system trusts"
    return f"STREAM_APP_KAFKA_CA_FILE ({trusted}) must hold the certificate of the CA that signed Kafka's"


def _is_about_our_certificate(error: ssl.SSLError) -> bool:
    """Whether the broker has answered our certificate, or its absence, with an alert."""
    return "ALERT" in (error.reason or "") and "CERTIFICATE" in (error.reason or "")
