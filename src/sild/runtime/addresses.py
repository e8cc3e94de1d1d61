"""IP addresses: lists of those that may do something, who is one and the same, a host's own."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

# Whoever has one IPv6 address has all of its network.
_IPV6_NETWORK = 64


class AllowedAddresses:
    """Single addresses and networks (192.168.1.0/24, ::1)."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each.strip(), strict=False) for each in networks]

    def __contains__(self, address: str) -> bool:
        ip = _find_ip(address)
        return ip is not None and any(ip in network for network in self._networks)


def network_of(address: str) -> str:
    """Give what stands for everybody at this address: itself, or of IPv6 its network."""
    ip = _find_ip(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _IPV6_NETWORK), strict=False))
    return address if ip is None else str(ip)


async def resolve(host: str) -> tuple[str, ...]:
    """Give the IP addresses of a host; raises OSError and UnicodeError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def _find_ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
