"""Audit of the addresses in the settings: where others could listen, and who could connect."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from stream_app.findings import Finding, danger, warning
from stream_app.kafka.options import servers_of
from stream_app.settings import Settings
from stream_app.settings.hosts import is_loopback

_OPEN = "others can read and change what is sent"


def addresses(settings: Settings) -> Iterator[Finding]:
    """Kafka, Redis and our own HTTP server."""
    yield from _kafka(settings)
    yield from _redis(settings)
    has_token = settings.http_token or settings.http_tokens_file
    if (settings.disclosure.is_limited or settings.http_tokens_file) and not settings.peer_secret:
        yield warning(
            "STREAM_APP_PEER_SECRET",
            "workers do not answer each other, so that nobody can ask as a worker for what is held back",
            "set STREAM_APP_PEER_SECRET, the same for all workers",
        )
    if not is_loopback(settings.http_host) and not has_token:
        yield danger(
            "STREAM_APP_HTTP_HOST",
            f"metrics are served on {settings.http_host} to everybody who can reach it, without authentication",
            "set STREAM_APP_HTTP_TOKEN, or listen on 127.0.0.1 behind a proxy that checks access",
        )


def _kafka(settings: Settings) -> Iterator[Finding]:
    protocol = settings.kafka_protocol
    if "SSL" in protocol:
        return
    far = [server for server in servers_of(settings) if not is_loopback(urlsplit(f"//{server}").hostname or "")]
    secure = "SASL_SSL" if "SASL" in protocol else "SSL or SASL_SSL"
    if far:
        yield danger("STREAM_APP_BROKERS", f"{protocol} to {', '.join(far)}: {_OPEN}", _protocol(secure))
    if protocol == "SASL_PLAINTEXT" and settings.kafka_sasl == "PLAIN":
        advice = f"{_protocol(secure)}, or STREAM_APP_KAFKA_SASL to SCRAM-SHA-512"
        yield danger("STREAM_APP_KAFKA_SASL", "PLAIN without TLS sends the password as it is", advice)


def _protocol(name: str) -> str:
    return f"set STREAM_APP_KAFKA_PROTOCOL to {name}"


def _redis(settings: Settings) -> Iterator[Finding]:
    url = settings.redis_url
    if url.scheme == "redis" and not is_loopback(url.host):
        advice = "begin it with rediss://, or put a TLS tunnel on this machine"
        yield danger("STREAM_APP_REDIS_URL", f"no TLS to {url.host}: {_OPEN}", advice)
    options = parse_qs(url.reveal().partition("?")[2])
    unchecked = {"ssl_cert_reqs": {"none", "optional"}, "ssl_check_hostname": {"false", "0", "no"}}
    for name, off in unchecked.items():
        if off & {value.lower() for value in options.get(name, ())}:
            advice = "take it out; STREAM_APP_REDIS_CA_FILE names the CA to trust"
            yield danger("STREAM_APP_REDIS_URL", f"{name} turns off the check of Redis' certificate", advice)
