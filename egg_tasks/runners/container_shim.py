# As shim.py: plain os calls, and nothing imported that takes long.
# ruff: noqa: PTH123
"""The first process of a container: what the shim does, and what only there is to do.

    python3 -I -S container_shim.py

Reads from standard input what to run, once, as shim.py does, with token and secrets, which are in no file
and in nothing that the engine shows. It cannot be looked into from within (`PR_SET_DUMPABLE`): so nobody else
finds the directory it works in, whose name is told there alone; and some system calls are not to be had from
here on (`call_filter`). Beside the agent it has the relay run, which passes the gateway on to 127.0.0.1.
Exits UNFED when what it was to read came to an end too early, TOO_OLD under a Python that does not know our
code; either way nothing has been started. Else the status says, where no agent can write it, whether the
agent ended with 0: 0 if so, UNWELL if not.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # as the shim has it
import marshal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

LIBRARY = __file__.rsplit("/", 3)[0]
UNFED, TOO_OLD, UNWELL = 75, 76, 77
OLDEST = (3, 11)
RELAY = LIBRARY + "/egg_tasks/runners/relay.py"
RELAY_SECONDS, RETRY_SECONDS = 5.0, 0.005
OOM_COUNTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where the kernel counts whom it ended in this container, with either version of its control groups."""


def read_spec() -> dict[str, Any]:
    """Return what to run; the spec came whole or not at all, since nobody else writes to our input."""
    try:
        with open(0, "rb") as stdin:
            spec: dict[str, Any] = marshal.load(stdin)  # noqa: S302 # from who started this, and nobody else
    except (EOFError, ValueError, TypeError):
        os._exit(UNFED)
    os.open(os.devnull, os.O_RDONLY)  # in its place
    # The image's own variables are what its tools want; an empty end of PATH stands for its PATH.
    environment = {**os.environ, **spec["environment"]}
    if environment["PATH"].endswith(":"):
        environment["PATH"] += os.environ.get("PATH", os.defpath)
    spec["environment"] = {**environment, **spec["secrets"]}
    return spec


def start_relay(port: int, socket: str) -> None:
    """Have the gateway's socket answer at a port of the container's own loopback; return when it does."""
    import socket as sockets  # of use only here

    argv = [sys.executable, "-I", RELAY, str(port), socket]
    # In a session of its own, so that what ends the agent's does not end this one, nor it us.
    os.posix_spawn(sys.executable, argv, {}, setsid=True, setsigmask=())
    deadline = time.monotonic() + RELAY_SECONDS
    while time.monotonic() < deadline:
        with sockets.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(RETRY_SECONDS)


def oom_kills() -> int:
    """Return how many processes of this container the kernel has ended for want of memory."""
    for path in OOM_COUNTS:
        try:
            with open(path, encoding="ascii") as counts:
                return next(int(line.split()[1]) for line in counts if line.startswith("oom_kill "))
        except (OSError, StopIteration, ValueError):
            continue
    return 0


def main() -> NoReturn:
    """Do for one run what the shim does for it elsewhere."""
    if sys.version_info < OLDEST:
        os._exit(TOO_OLD)
    sys.path.append(LIBRARY)
    from egg_tasks.runners import call_filter, shim  # once the Python is known to know them

    signal.pthread_sigmask(signal.SIG_BLOCK, shim.WATCHED)
    spec = read_spec()
    shim.libc.prctl(shim.PR_SET_DUMPABLE, 0)
    call_filter.install(shim.libc)
    os.chdir(spec["own"])
    if not shim.claim():
        os._exit(UNWELL)
    if spec["relay"]:
        # Anybody sees where it works, and is not to find by that where we do.
        os.chdir("/")
        start_relay(*spec["relay"])
        os.chdir(spec["own"])
    outcome = shim.run(spec, shim.open_signals())
    shim.publish({**outcome, "is_out_of_memory": oom_kills() > 0})
    os._exit(0 if outcome.get("exit_code") == 0 else UNWELL)


if __name__ == "__main__":
    main()
