"""Addresses of the hosts that agents ask for: found by the gateway, judged, and connected to as they are."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from models.errors import Unavailable
from models.schemas.network import Address

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 10.0
TRANSLATED = [ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]
"""Whose last or inner bytes are an IPv4 address of anybody's choice (NAT64, 6to4, Teredo)."""
ALSO_LOCAL = frozenset(map(ip_address, ("168.63.129.16", "192.0.0.192", "100.100.100.200")))
"""Where clouds serve what a machine may know of itself, beside the link-local 169.254.169.254."""


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the internet, and not of this machine, its network or its cloud."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in TRANSLATED):
            return False
    is_odd = address.is_multicast or address.is_reserved or address in ALSO_LOCAL
    return address.is_global and not is_odd


def is_this_machines(address: Address) -> bool:
    """Whether an address, however public it looks, is one of this machine: it would speak to it as itself."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Only a machine's own addresses can be taken.
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def plain(address: Address) -> Address:
    """An address that is written as another kind, as the one it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


async def resolved(host: str, port: int) -> Sequence[Address]:
    """What a host stands for now, in the order to be tried; `Unavailable` when nobody knows it."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Unavailable(f"nobody knows the host {host} now") from error
    return list(dict.fromkeys(plain(_address(each[4][0])) for each in found))


async def connected(
    addresses: Sequence[Address], port: int, *, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of them that answers; no name is looked up again."""
    for address in addresses:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(str(address), port)
        except (OSError, TimeoutError):
            continue
    raise Unavailable(f"{host}:{port} does not answer")


def _address(text: str | int) -> IPv4Address | IPv6Address:
    return ip_address(str(text).partition("%")[0])
