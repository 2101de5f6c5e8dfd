"""What a run whose shim was killed left behind, and its end."""

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from egg_tasks.runners import liveness
from egg_tasks.runners.liveness import Identity, Stat

MARK = "EGG_AGENT_RUN_ID"
"""The variable that tells a run's processes from everybody else's."""

BRANDED = b"Max realtime timeout"
BRAND_BITS = 60


def brand(run_id: UUID) -> int:
    """A number of a run's own, in microseconds: far more than any process may compute in real time.

    As its limit it goes to all that come from an agent, whatever they do to session and environment. Who is
    not root can lower it, and never raise it again.
    """
    return 1 << BRAND_BITS + 1 | run_id.int >> 128 - BRAND_BITS


@dataclass(frozen=True)
class Traces:
    """How processes that came from a run's agent are known."""

    run_id: UUID
    agent: Identity | None
    """As its shim noted it; None if nobody did whose word is good."""

    def is_on(self, pid: int) -> bool:
        """Whether a process is of the agent's session, or has the mark or the brand of its run."""
        return self._is_of_session(pid) or self._has_mark(pid) or self._has_brand(pid)

    def _is_of_session(self, pid: int) -> bool:
        agent, stat = self.agent, Stat.read(pid)
        if agent is None or stat is None or not agent.of_this_boot:
            return False
        same_number = agent.pid in {pid, stat.session, stat.group}
        # With the agent gone its number may by now be that of a stranger's session, which is gone too.
        is_of_it = agent.is_unique or liveness.start_of(agent.pid) == agent.start
        return same_number and is_of_it and stat.start >= agent.start

    def _has_mark(self, pid: int) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return os.fsencode(f"{MARK}={self.run_id}") in environment.split(b"\0")

    def _has_brand(self, pid: int) -> bool:
        try:
            limits = Path(f"/proc/{pid}/limits").read_bytes()
        except OSError:
            return False
        line = next((line for line in limits.splitlines() if line.startswith(BRANDED)), b"")
        return str(brand(self.run_id)).encode() in line.split()


def kill(traces: Traces) -> None:
    """Kill what a run left behind whose shim was killed, until a look finds nothing.

    What left the agent's session, emptied its environment *and* changed its limits is not found.
    """
    deadline = time.monotonic() + liveness.SWEEP_SECONDS
    while time.monotonic() < deadline:
        found = [pid for pid in liveness.numbers() if traces.is_on(pid)]
        if not sum(liveness.kill(pid, partial(traces.is_on, pid)) for pid in found):
            return
        time.sleep(liveness.RETRY_SECONDS)
