"""Requests through relay and gateway, beside the same requests straight to the API, in turns.

`python -m benchmarks.gateway` asks the stack of EGG_HOME; `measured` is for other benchmarks.
"""

import os
import statistics
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from egg_tasks.config import default_home
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from egg_tasks.runners import relay
from egg_tasks.stack import lifecycle, tcp_ports

REQUESTS = 300
WARM = 20
PREFERRED = 38700
HEALTH = "/api/v1/health"


class Times(NamedTuple):
    """Medians, in milliseconds, each of a request on a connection of its own."""

    straight: float
    through: float

    @property
    def added(self) -> float:
        """What relay and gateway take."""
        return self.through - self.straight


def measured(api_port: int, socket: Path, *, requests: int = REQUESTS) -> Times:
    """Ask the API at *api_port* so often, and as often through a relay to the gateway's *socket*."""
    port = tcp_ports.choose(PREFERRED)
    command = [sys.executable, "-I", relay.__file__, str(port), str(socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None  # noqa: S101
        try:
            running.stdout.readline()
            took = [(_ask(api_port), _ask(port)) for _ in range(WARM + requests)][WARM:]
        finally:
            running.kill()
    straight, through = zip(*took, strict=True)
    return Times(statistics.median(straight), statistics.median(through))


def _ask(port: int) -> float:
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", HEALTH)
        connection.getresponse().read()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print what it takes on this machine."""
    home = default_home(os.environ)
    found = lifecycle.find(home)
    if found is None:
        sys.exit(f"no stack runs in {home}: start one with `egg up`")
    times = measured(found.api_port, gateway_of(home) / GATEWAY_SOCKET)
    print(f"straight {times.straight:.1f} ms, through relay and gateway {times.through:.1f} ms")
    print(f"added {times.added:.1f} ms (aim: at most 5)")


if __name__ == "__main__":
    main()
