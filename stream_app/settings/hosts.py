"""Host addresses: whether others can reach them, and by what name."""

import socket
from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether only this machine has the address. Names are not resolved: only localhost counts."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_port(host: str, port: int) -> str:
    """Host and port as they stand in an address: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def is_address(host: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_local_name(host: str) -> bool:
    """Whether a page from elsewhere cannot have it lead here: an address, a name without a dot, this machine's own.

    Such a page can have its own name lead to this machine, but the browser still says which name.
    """
    return bool(host) and (is_address(host) or "." not in host or host in {socket.gethostname().lower(), "localhost"})


def reachable(host: str) -> str:
    """The name by which others reach a server that listens on `host`: this machine's if it listens on every address."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{address}]" if address.version == 6 else str(address)
