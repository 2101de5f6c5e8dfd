"""A filter of what agents in containers call, behind the engine's: for what no namespace of theirs holds.

Standard library only. A network of its own has no say over sockets of some families: those of the hypervisor
(vsock) reach the machine below. So the usual families are to be had, and no others. What a ring does
(io_uring) no filter sees, and calls of another kind of machine have other numbers: neither is there at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: by which a program learns of its own network."""
RINGS = (425, 426, 427)
KINDS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""How the kernel calls a kind of machine, and the number of `socket` there."""
OTHER_NUMBERS = 0x40000000
"""From here on they are those of x32."""
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
NUMBER, KIND, FIRST_ARGUMENT = 0, 4, 16
LOAD, EQUALS, REACHES, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000


class Lines(ctypes.Structure):
    """As the kernel wants a filter."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def code(machine: str) -> bytes:
    """The filter for a kind of machine; nothing for one whose numbers are not known here."""
    if machine not in KINDS:
        return b""
    kind, socket = KINDS[machine]
    lines: list[bytes] = []
    allow = len(FAMILIES) + len(RINGS) + 7
    missing = allow + 1

    def line(what: int, value: int, yes: int | None = None, no: int | None = None) -> None:
        at = len(lines) + 1
        lines.append(struct.pack("HBBI", what, (yes or at) - at, (no or at) - at, value))

    line(LOAD, KIND)
    line(EQUALS, kind, no=missing)
    line(LOAD, NUMBER)
    line(REACHES, OTHER_NUMBERS, yes=missing)
    for number in RINGS:
        line(EQUALS, number, yes=missing)
    line(EQUALS, socket, no=allow)
    line(LOAD, FIRST_ARGUMENT)
    for family in FAMILIES:
        line(EQUALS, family, yes=allow)
    line(RETURN, FAIL | errno.EAFNOSUPPORT)
    assert len(lines) == allow, "it is where the others jump to"  # noqa: S101
    line(RETURN, ALLOW)
    line(RETURN, FAIL | errno.ENOSYS)
    return b"".join(lines)


def install(libc: Any) -> None:
    """Filter the calls of this process from now on, and of all that it starts. `OSError` where that fails."""
    lines = code(os.uname().machine)
    program = Lines(len(lines) // 8, lines)
    if lines and libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")
