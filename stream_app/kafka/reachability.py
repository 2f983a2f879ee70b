"""Whether a broker accepts a connection with the settings, and if not, why: found out in milliseconds.

Problem: the client libraries retry whatever goes wrong, and when the time is over they know only that it is over.
kafka-python 3.0 was tried against real brokers. Wrong password, expired token, wrong mechanism, no SASL, TLS to a
plain listener, plain text to a TLS listener, a certificate that is expired, for another host or signed by a stranger,
a client certificate that is missing or refused, a server that is no Kafka, a port where nobody listens, a name that
does not exist: KafkaAdminClient raises `KafkaTimeoutError: Unable to bootstrap from [...]` for each of them, without a
cause, and only after the whole `bootstrap_timeout_ms` (5 s), however early the broker refused. The reason is in its
log; of the cases where the broker just closes the connection (plain text to TLS, no SASL, a mechanism it does not
offer) even the log says no more than `socket disconnected`.

So before a client is made, `require_reachable` speaks to a broker itself, on one connection, without a retry:

    connect, TLS handshake          the error of the socket or of OpenSSL is the reason
    ApiVersions  ──▶                closed without an answer: the listener speaks TLS, or wants our certificate
    SaslHandshake  ──▶              the answer lists the mechanisms of the listener; an error: ours is not one of them
    SaslAuthenticate  ──▶ (…)       the answer holds Kafka's reason, such as an invalid password

Without SASL in the settings, SaslHandshake asks for the mechanism NONE: a listener that needs SASL lists its own. The
whole exchange takes 10 ms, with SCRAM 0.3 s. It uses request versions that brokers have from Kafka 1.0 to 4; the SASL
mechanisms are those of kafka-python, so that a credential is encoded as its clients encode it.
"""

import logging
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from stream_app.kafka.error_hints import kafka_advice, refused
from stream_app.kafka.options import kafka_python_options, servers_of
from stream_app.settings import Settings, SettingsError
from stream_app.settings.hosts import host_port
from stream_app.settings.tls import kafka_tls

logger = logging.getLogger(__name__)

_TIMEOUT_S = 5.0
_DEFAULT_PORT = 9092
_METADATA, _HANDSHAKE, _VERSIONS, _AUTHENTICATE = 3, 17, 18, 36
_CONNECT_S = 2.0
"""To each advertised address, all at the same time."""
_MOST_BROKERS = 100
_NO_MECHANISM = "NONE"
_MOST_BYTES = 1_000_000


ADVERTISED_ADVICE = (
    "every client is sent there: set advertised.listeners of the broker to an address that can be reached from here"
)


class UnreachableError(RuntimeError):
    """No broker accepts a connection: `what` is wrong, and `advice` on what to do, a line together."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what, self.advice = what, advice


class HandshakeError(RuntimeError):
    """The broker closes the connection or lacks what we need; `advice` says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


class AdvertisedListener(NamedTuple):
    """A broker's address, as its `advertised.listeners` has it."""

    address: str
    refusal: str
    """Why no connection is possible; empty where one is."""


def require_reachable(settings: Settings) -> None:
    """Return when one of the brokers accepts a connection, and can be reached where it says that it is.

    Where several are, and some cannot be reached, it is logged. Raises UnreachableError and SettingsError.
    """
    listeners = advertised_listeners(settings)
    refused = [listener for listener in listeners if listener.refusal]
    if not refused:
        return
    what = ", ".join(f"{listener.address} ({listener.refusal})" for listener in refused)
    if len(refused) == len(listeners):
        raise UnreachableError(f"Kafka at {settings.brokers} advertises {what}", ADVERTISED_ADVICE)
    logger.warning("Kafka advertises %s: %s", what, ADVERTISED_ADVICE, extra={"kind": what})


def advertised_listeners(settings: Settings) -> list[AdvertisedListener]:
    """Where the brokers say that they are, and whether that can be reached. Raises UnreachableError, SettingsError."""
    context = kafka_tls(settings)
    refusals: dict[str, str] = {}
    for server in servers_of(settings):
        try:
            addresses = _try(server, settings, context)
            with ThreadPoolExecutor(max(len(addresses), 1)) as pool:
                return list(pool.map(_listener, addresses))
        except SettingsError:
            raise
        except (OSError, ValueError, HandshakeError) as error:
            refusals[str(error)] = _advice(error, settings)
    reasons, advice = "; ".join(refusals), next(filter(None, refusals.values()), "")
    if advice:
        raise UnreachableError(f"cannot connect to Kafka at {settings.brokers} ({reasons})", advice)
    raise UnreachableError(
        f"no Kafka answers at {settings.brokers} ({reasons})", "start it, or name another with --brokers"
    )


def _listener(address: tuple[str, int]) -> AdvertisedListener:
    host, port = address
    name = host_port(host, port)
    try:
        with closing(socket.create_connection(address, _CONNECT_S)):
            return AdvertisedListener(name, "")
    except (OSError, ValueError, OverflowError) as error:  # a ValueError for a name that cannot be encoded
        return AdvertisedListener(name, str(error) or type(error).__name__)


def _try(server: str, settings: Settings, context: ssl.SSLContext | None) -> list[tuple[str, int]]:
    """Return the addresses that a broker gives for all brokers; none where it gives no answer."""
    address = urlsplit(f"//{server}")
    host = address.hostname or ""
    plain = socket.create_connection((host, address.port or _DEFAULT_PORT), _TIMEOUT_S)
    with closing(plain), closing(context.wrap_socket(plain, server_hostname=host) if context else plain) as connection:
        _greet(connection, settings)
        return _addresses(_answer(connection, _METADATA, 1, struct.pack(">i", 0)))


def _advice(error: Exception, settings: Settings) -> str:
    if isinstance(error, HandshakeError):
        return error.advice
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return f"does it speak TLS there? STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}"
    return kafka_advice(error, settings)


def _greet(connection: Any, settings: Settings) -> None:
    """Return when the broker on a connected socket accepts our credentials. Raises OSError and HandshakeError."""
    if not _answer(connection, _VERSIONS, 0, b""):
        tls = "require a client certificate" if isinstance(connection, ssl.SSLSocket) else "speak TLS"
        raise HandshakeError(
            "it closes the connection", f"STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}: does it {tls}?"
        )
    if "SASL" in settings.kafka_protocol:
        _require_mechanism(connection, settings.kafka_sasl)
        try:
            _authenticate(connection, settings)
        except (ValueError, struct.error) as error:
            raise HandshakeError(f"it does not know the password itself ({error})", "is it the right Kafka?") from error
    elif offered := _offered(connection):
        raise HandshakeError(
            f"it requires a login by {', '.join(offered)}",
            f"STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}: set it to SASL_SSL",
        )


def _require_mechanism(connection: Any, mechanism: str) -> None:
    error, offered = _mechanisms(_answer(connection, _HANDSHAKE, 1, _text(mechanism)))
    if error:
        names = ", ".join(name for name in offered if name != mechanism)
        advice = f"set STREAM_APP_KAFKA_SASL to one of {names}" if names else "has that listener SASL?"
        raise HandshakeError(f"it does not offer {mechanism}", advice)


def _offered(connection: Any) -> list[str]:
    """The mechanisms of a listener that has SASL: one without answers with an error, or (Tansu) with an echo."""
    _, offered = _mechanisms(_answer(connection, _HANDSHAKE, 0, _text(_NO_MECHANISM)))
    return [] if _NO_MECHANISM in offered else offered


def _authenticate(connection: Any, settings: Settings) -> None:
    from kafka.net.sasl import get_sasl_mechanism  # noqa: PLC0415 - most connections have no SASL

    mechanism = get_sasl_mechanism(settings.kafka_sasl)(host="", **kafka_python_options(settings))
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = _answer(connection, _AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        error, length = struct.unpack_from(">hh", answer or b"\xff\xff\xff\xff")
        at = 4 + max(length, 0)
        if error:
            raise HandshakeError(answer[4:at].decode() or "it closes the connection", refused(settings))
        mechanism.receive(answer[at + 4 :])


def _answer(connection: Any, request: int, version: int, body: bytes) -> bytes:
    """The broker's answer to a request; nothing where it closes the connection or answers something else."""
    header = struct.pack(">hhih", request, version, request, -1)
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    size, number = struct.unpack(">ii", _received(connection, 8) or bytes(8))
    return _received(connection, size - 4) if number == request and 4 < size < _MOST_BYTES else b""


def _addresses(answer: bytes) -> list[tuple[str, int]]:
    """The hosts and ports of the brokers in the answer to a Metadata request."""
    found = []
    try:
        (count,), at = struct.unpack_from(">i", answer), 4
        for _ in range(min(count, _MOST_BROKERS)):
            (length,) = struct.unpack_from(">h", answer, at + 4)
            at += 6 + length
            host = answer[at - length : at].decode()
            port, length = struct.unpack_from(">ih", answer, at)
            at += 6 + max(length, 0)  # the rack
            found.append((host, port))
    except (struct.error, UnicodeDecodeError):
        return []
    return found


def _received(connection: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            more = connection.recv(size - len(data))
        except ConnectionResetError:
            return b""
        except TimeoutError:
            raise HandshakeError("it does not answer", "does STREAM_APP_BROKERS name a Kafka?") from None
        if not more:
            return b""
        data += more
    return data


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _mechanisms(answer: bytes) -> tuple[int, list[str]]:
    """The error and the mechanisms in the answer to a handshake."""
    if not answer:
        return -1, []
    error, count = struct.unpack_from(">hi", answer)
    names, at = [], 6
    for _ in range(count):
        (length,) = struct.unpack_from(">h", answer, at)
        names.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return error, names
