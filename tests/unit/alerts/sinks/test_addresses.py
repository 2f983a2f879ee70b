"""Where webhooks are sent: to the address that the alerts file names, if its certificate is the one of that host."""

import socket
from pathlib import Path
from typing import Any

import pytest

from stream_app.alerts.sinks.http import HttpEndpoint
from stream_app.alerts.sinks.message import DeliveryOutcome, DeliveryResult
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.demo.embedded.process import LOCALHOST
from stream_app.settings.secret import Redaction
from tests.servers.certificates import Authority
from tests.unit.alerts.parts import a_hook

HOST = "hooks.example.org"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that clients trust."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.cert))
    return made


def post(url: str) -> DeliveryOutcome:
    return HttpEndpoint(SinkUrl(url), Redaction([SinkUrl(url)])).post(b"{}", {})


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every host name has these addresses."""

    def getaddrinfo(_host: str, port: int, *_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_receiver_with_a_private_address_needs_no_permission(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, LOCALHOST)
    with a_hook(authority.sign("hook", HOST)) as hook:
        hook.is_signed = False
        outcome = post(f"https://{HOST}:{hook.port}/hook")
    assert outcome == DeliveryOutcome(DeliveryResult.DELIVERED, "204")


def test_a_name_that_leads_to_another_server_sends_it_nothing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, LOCALHOST)
    with a_hook(authority.sign("inside", "inside.example.org")) as hook:
        outcome = post(f"https://{HOST}:{hook.port}/hook")
    assert outcome.result is DeliveryResult.RETRY
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.reason
    assert hook.asked == 0


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", LOCALHOST)  # nothing listens at the first
    with a_hook() as hook:
        hook.is_signed = False
        outcome = post(f"http://{HOST}:{hook.port}/hook")
    assert outcome == DeliveryOutcome(DeliveryResult.DELIVERED, "204")
