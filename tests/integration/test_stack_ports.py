"""Ports of stacks that start at the same time."""

import socket
import subprocess
import sys

from egg_tasks.stack import tcp_ports

PREFERRED = 28700
CHOOSE = f"from egg_tasks.stack import tcp_ports; print(tcp_ports.choose({PREFERRED}))"


def choose_elsewhere() -> int:
    """What another stack chooses now."""
    done = subprocess.run([sys.executable, "-c", CHOOSE], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_a_port_that_one_stack_chose_is_not_chosen_by_another_before_anybody_listens() -> None:
    chosen = tcp_ports.choose(PREFERRED)

    assert choose_elsewhere() != chosen


def test_a_server_that_asks_for_reuse_listens_on_the_port_its_stack_chose() -> None:
    chosen = tcp_ports.choose(PREFERRED)

    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((tcp_ports.LOOPBACK, chosen))
        server.listen()

        assert not tcp_ports.is_free(chosen)
