"""The hosts an agent may reach by the gateway, as its definition says it; lists of them have names."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from models.schemas.fault import meant
from models.schemas.shape import Shape
from models.schemas.text import Line, Listed, refused

Address = IPv4Address | IPv6Address

LISTS: Mapping[str, Sequence[str]] = {
    "python-packages": ("pypi.org", "files.pythonhosted.org"),
    "node-packages": ("registry.npmjs.org", "registry.yarnpkg.com"),
    "debian-packages": ("deb.debian.org", "security.debian.org"),
    "github": (
        "github.com",
        "api.github.com",
        "codeload.github.com",
        "raw.githubusercontent.com",
        "objects.githubusercontent.com",
        "release-assets.githubusercontent.com",
    ),
}
"""What stands for several hosts; Debian's are asked over plain HTTP."""
WEB = frozenset({80, 443})
"""The ports of a host that is named without one."""
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ENTRY = re.compile(r"(?P<any>\*\.)?(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?")
MAX_HOST = 253


def _entry(text: str) -> str:
    """An entry of the list in small letters; refused with what it can be."""
    entry = text.lower()
    if entry in LISTS:
        return entry
    found = ENTRY.fullmatch(entry)
    if found and (found["any"] or found["port"] or "." in found["host"] or found["host"].startswith("[")):
        return entry
    known = f"a named list ({', '.join(LISTS)})"
    raise refused(f"must be a host with a dot, host:port, '*.host' or {known}{meant(entry, LISTS)}")


Entry = Annotated[Line, AfterValidator(_entry)]


class Network(Shape):
    """What an agent may reach by the gateway."""

    mode: Literal["deny", "observe", "open"] = "deny"
    """`deny`: what is allowed. `observe`: the rest too, noted. `open`: all. Never the local network."""
    allow: Annotated[tuple[Entry, ...], Field(max_length=500), Listed] = ()
    """Hosts (ports 80 and 443), host:port, '*.host' (all below it), named lists such as `python-packages`."""

    def allows(self, host: str, port: int) -> bool:
        """Whether a host, in small letters, is on the list."""
        return any(_is_meant(entry, host, port) for entry in self._entries())

    def names(self, address: Address, port: int) -> bool:
        """Whether the list has an address as such: only so is one of the local network reached."""
        return any(_is_meant(entry, str(address), port) for entry in self._entries() if "*" not in entry)

    def _entries(self) -> list[str]:
        return [one for entry in self.allow for one in LISTS.get(entry, (entry,))]


def _is_meant(entry: str, host: str, port: int) -> bool:
    found = ENTRY.fullmatch(entry)
    if found is None or port not in ({int(found["port"])} if found["port"] else WEB):
        return False
    named = found["host"].strip("[]")
    if found["any"]:
        return host.endswith(f".{named}")
    return host == named or (address_of(host) is not None and address_of(host) == address_of(named))


def address_of(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
