"""The guard of webhooks: which addresses a name may lead to. The one that was checked is connected to."""

import ipaddress
import socket
from typing import Any, NamedTuple

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddressError(ValueError):
    """The name leads to an address that is not of the public internet."""


class Endpoint(NamedTuple):
    """Where to connect to, as the socket module takes it."""

    family: int
    address: Any


def resolved(host: str, port: int, *, private: bool) -> Endpoint:
    """The first address of `host`. Raises OSError where it has none.

    Raises ForbiddenAddressError where any of them is not public and `private` is not set: a name that leads to both is
    somebody's trick.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not private and not is_public(str(address[0])):
            raise ForbiddenAddressError(
                f"{host} leads to {address[0]}, which is no public address: for a receiver of your own network "
                "say `private: true`"
            )
    family, *_, address = found[0]
    return Endpoint(family, address)


def is_public(text: str) -> bool:
    """Whether an address is of the public internet, and so is the IPv4 address in it, if there is one."""
    address: _Address = ipaddress.ip_address(text.partition("%")[0])
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in (address, *_within(address)))


def _within(address: _Address) -> list[_Address]:
    """The IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
