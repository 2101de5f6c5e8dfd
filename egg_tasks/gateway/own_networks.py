"""The networks that this machine is in, asked of the kernel: addresses there are its neighbours'."""

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from models.errors import Unavailable

NetworkOf = IPv4Network | IPv6Network
HEADER = struct.Struct("=IHHII")
"""Of a message of rtnetlink(7): its length, type, flags, number and port."""
OF_ADDRESSES = struct.Struct("=BBBBI")
"""How a message of addresses goes on: family, length of the prefix, flags, scope and interface."""
ATTRIBUTE = struct.Struct("=HH")
NEW_ADDRESS, GET_ADDRESSES, ALL = 20, 22, 0x301
DONE, FAILED = 3, 2
ADDRESS = 1
"""Of an interface whose address and prefix are another's, the other's."""
FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 16}
MOST = 1 << 20
SECONDS = 2.0


def own_networks() -> list[NetworkOf]:
    """The networks of all interfaces as they are now; `Unavailable` if the kernel does not say."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as asked:
            asked.settimeout(SECONDS)
            size = HEADER.size + OF_ADDRESSES.size
            asked.send(HEADER.pack(size, GET_ADDRESSES, ALL, 1, 0) + OF_ADDRESSES.pack(0, 0, 0, 0, 0))
            return list(_answered(asked))
    except (OSError, struct.error, ValueError) as error:
        raise Unavailable("this machine does not say which networks it is in: try again") from error


def _answered(asked: socket.socket) -> Iterator[NetworkOf]:
    while True:
        said, at = asked.recv(MOST), 0
        while at < len(said):
            length, kind, _, _, _ = HEADER.unpack_from(said, at)
            if kind == DONE:
                return
            if kind == FAILED or length < HEADER.size:
                raise OSError("refused")
            if kind == NEW_ADDRESS:
                yield from _network(said[at + HEADER.size : at + length])
            at += _aligned(length)


def _network(said: bytes) -> Iterator[NetworkOf]:
    family, prefix, _, _, _ = OF_ADDRESSES.unpack_from(said)
    at = OF_ADDRESSES.size
    while at + ATTRIBUTE.size <= len(said):
        length, kind = ATTRIBUTE.unpack_from(said, at)
        value = said[at + ATTRIBUTE.size : at + length]
        # A prefix of no length would be everybody.
        if kind == ADDRESS and prefix and len(value) == FAMILIES.get(family):
            yield ip_network((value, prefix), strict=False)
        at += max(_aligned(length), ATTRIBUTE.size)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
