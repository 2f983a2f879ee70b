"""The guard of webhooks: which addresses a name may lead to. The one that was checked is connected to."""

import ipaddress
import socket
from typing import Any, NamedTuple

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    """Whether an address is of the public internet; of one that carries an IPv4 address, whether that is."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return _is_global(address)
    if address.ipv4_mapped is not None:
        return _is_global(address.ipv4_mapped)
    if address in _NAT64:
        return _is_global(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    carried = [address.sixtofour, *(address.teredo or ())]
    return not address.is_site_local and all(_is_global(one) for one in (address, *carried) if one is not None)


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
