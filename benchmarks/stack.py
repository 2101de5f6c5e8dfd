"""A stack of one's own: `egg up` in a temporary home, its processes found, killed and taken down again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from egg_tasks import database
from egg_tasks.stack import commands, lifecycle, probes
from egg_tasks.stack.manifest import Manifest
from egg_tasks.tasks.dispatch import TaskSender

EGG = Path(sys.executable).parent / "egg"
HEALTH_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.2
SERVERS = {"api": "uvicorn", "postgres": "postgres", "valkey": "valkey-server"}


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    home: Path
    manifest: Manifest

    def pid(self, name: str) -> int | None:
        """The process of one of its servers; None while it is being started again."""
        supervisor = self.manifest.supervisor_pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for child in children:
            with suppress(OSError):
                line = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0-D\0")[0]
                if SERVERS[name].encode() in line:
                    return int(child)
        return None

    def await_health(self) -> None:
        """Wait until everything that was killed has come back."""
        deadline = time.monotonic() + HEALTH_SECONDS
        while not self.is_well():
            assert time.monotonic() < deadline, f"not well again; look into {self.home}/logs"  # noqa: S101
            time.sleep(LOOK_AGAIN_SECONDS)

    def is_well(self) -> bool:
        """Whether the API answers, and database and broker answer it."""
        return probes.http_answers(self.manifest.api_port, commands.READY_PATH)

    def kill(self, name: str) -> bool:
        """Kill a server with -9 (of PostgreSQL the postmaster); whether there was one."""
        pid = self.pid(name)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True


@contextmanager
def running(*, rate_limit: int | None = 0, more: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Bring a stack up in a new home, let this process speak to its database, and remove it at the end.

    Agents may ask as often as they like, unless *rate_limit* says how often a second; None leaves what is
    the rule. *more* is added to its environment. After an error the home stays, for its logs.
    """
    home = Path(tempfile.mkdtemp(prefix="egg-bench-", dir="/tmp"))
    own = {name: value for name, value in os.environ.items() if not name.startswith("EGG_")}
    environment = {**own, "EGG_HOME": str(home), **(more or {})}
    if rate_limit is not None:
        environment["EGG_RATE_LIMIT"] = str(rate_limit)
    try:
        subprocess.run([EGG, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
        found = lifecycle.find(home)
        assert found is not None, "egg up has just said that it is there"  # noqa: S101
        os.environ.update(
            EGG_DATABASE_URL=found.database_url, EGG_REDIS_URL=found.redis_url, EGG_HOME=str(home)
        )
        database.use(TaskSender())
        yield Stack(home, found)
    finally:
        subprocess.run([EGG, "down"], env=environment, check=False, stdout=subprocess.DEVNULL)
    shutil.rmtree(home, ignore_errors=True)
