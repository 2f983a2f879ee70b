"""The guard of webhooks: which addresses are public, and that the one that was checked is the one that is asked."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.alerts.sinks.addresses import ForbiddenAddressError, is_public, resolved
from stream_app.alerts.sinks.http import Receiver
from stream_app.alerts.sinks.message import DeliveryResult, Outcome
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.demo.embedded.process import LOCALHOST
from stream_app.settings.secret import Redaction
from tests.alerting.parts import a_hook

FORBIDDEN = """
127.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 240.0.0.1 255.255.255.255
192.0.2.1 198.18.0.1 ::1 :: fe80::1 fe80::1%1 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
2002:7f00:1:: 2002:a9fe:a9fe:: 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 2001:db8::1 fec0::1
"""
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_private_address_becomes_public_by_being_written_as_ipv6(address: Any) -> None:
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"64:ff9b::{address}")


def post(url: str, *, private: bool) -> Outcome:
    return Receiver(SinkUrl(url), Redaction([SinkUrl(url)]), private=private).post(b"{}", {})


def answering(*addresses_: str) -> Any:
    """getaddrinfo, as a name server of somebody else would answer."""

    def answer(_host: str, port: int, **_: object) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses_
        ]

    return answer


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "0"])
def test_a_name_or_number_that_leads_to_this_machine_is_refused(host: str) -> None:
    outcome = post(f"https://{host}:1/hook", private=False)
    assert outcome.result is not DeliveryResult.DELIVERED
    assert "no public address" in outcome.reason or "gaierror" in outcome.reason


def test_a_name_that_leads_to_a_public_and_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("1.1.1.1", "10.0.0.1"))
    with pytest.raises(ForbiddenAddressError, match=r"leads to 10\.0\.0\.1, which is no public address"):
        resolved("trick.example.org", 443, private=False)


def test_the_address_that_was_checked_is_connected_to_whatever_the_name_leads_to_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    with a_hook() as hook:
        hook.is_signed = False

        def once(host: str, port: int, **_: object) -> list[Any]:
            asked.append(host)
            assert len(asked) == 1, "the name was looked up a second time"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCALHOST, port))]

        monkeypatch.setattr(socket, "getaddrinfo", once)
        outcome = post(f"http://rebinding.example.org:{hook.port}/hook", private=True)
    assert outcome.result is DeliveryResult.DELIVERED
    assert asked == ["rebinding.example.org"]
