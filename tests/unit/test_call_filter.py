"""The filter of system calls of agents in containers: what programs need, and nothing that leads past it."""

import platform
import subprocess
import sys

import pytest

from egg_tasks.runners import call_filter

LOOK = """
import ctypes, errno, socket
from egg_tasks.runners import call_filter

libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges, as in a container
call_filter.install(libc)
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    socket.socket(family, socket.SOCK_DGRAM).close()
socket.socketpair()
for family in (socket.AF_VSOCK, socket.AF_ALG, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        print(errno.errorcode[error.errno])
for number in (425, 426, 427):
    libc.syscall(number, 1, None)
    print(errno.errorcode[ctypes.get_errno()])
"""


@pytest.mark.skipif(platform.machine() not in call_filter.KINDS, reason="its numbers are not known")
def test_programs_have_their_sockets_and_no_others_and_no_rings() -> None:
    said = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True).stdout

    assert said.split() == ["EAFNOSUPPORT"] * 3 + ["ENOSYS"] * 3


def test_of_a_kind_of_machine_whose_numbers_are_not_known_nothing_is_filtered() -> None:
    assert call_filter.code("pdp11") == b""
