"""Addresses of hosts: who can be there."""

import socket
from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is there. Names are not looked up: but for localhost they can be anybody."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def reachable(host: str) -> str:
    """What others call the host that a server listens on: this machine's name where that is every address."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if address.version == 6 else str(address)
