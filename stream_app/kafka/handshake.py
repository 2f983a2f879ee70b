"""A first conversation with a broker, over a connection of its own: it says at once why it does not want us."""

import ssl
import struct
from typing import Any

from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.error_hints import refused
from stream_app.settings import Settings

_HANDSHAKE, _VERSIONS, _AUTHENTICATE = 17, 18, 36
_NO_MECHANISM = "NONE"
_MOST_BYTES = 1_000_000


class HandshakeError(RuntimeError):
    """The broker hangs up or lacks what we need; `advice` says what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def greet(connection: Any, settings: Settings) -> None:
    """Return when the broker takes us, on a connected socket. Raises OSError and TurnedAwayError."""
    if not _answer(connection, _VERSIONS, 0, b""):
        tls = "want a certificate of ours" if isinstance(connection, ssl.SSLSocket) else "speak TLS"
        raise HandshakeError("it hangs up", f"STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}: does it {tls}?")
    if "SASL" in settings.kafka_protocol:
        _shake_hands(connection, settings.kafka_sasl)
        try:
            _authenticate(connection, settings)
        except (ValueError, struct.error) as error:
            raise HandshakeError(f"it does not know our password itself ({error})", "is it the right one?") from error
    elif offered := _offered(connection):
        raise HandshakeError(
            f"it wants to know who we are, by {', '.join(offered)}",
            f"STREAM_APP_KAFKA_PROTOCOL is {settings.kafka_protocol}: set it to SASL_SSL",
        )


def _shake_hands(connection: Any, mechanism: str) -> None:
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
            raise HandshakeError(answer[4:at].decode() or "it hangs up", refused(settings))
        mechanism.receive(answer[at + 4 :])


def _answer(connection: Any, request: int, version: int, body: bytes) -> bytes:
    """What the broker answers to a request; nothing where it hangs up or answers something else."""
    header = struct.pack(">hhih", request, version, request, -1)
    connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    size, number = struct.unpack(">ii", _received(connection, 8) or bytes(8))
    return _received(connection, size - 4) if number == request and 4 < size < _MOST_BYTES else b""


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
