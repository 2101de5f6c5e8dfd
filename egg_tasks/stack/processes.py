"""Foreground children: started to die with us, logged to a file each, stopped politely and then not."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from egg_tasks import shell
from egg_tasks.stack import logs
from egg_tasks.stack.run_as import Account, identity

PR_SET_PDEATHSIG = 1
PROTECTION = -500
"""Half the machine's memory is forgiven us; agents raise theirs again (`runners.shim`)."""


@dataclass(frozen=True)
class Program:
    """One process to keep running: how it is started, when it is ready, how it is stopped."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    tier: int
    """Lower tiers start first and stop last; those of one tier start and stop together."""

    directory: Path = Path("/")
    """Where it works; by itself where it keeps nothing from being unmounted."""

    account: Account | None = None
    before: Callable[[], None] | None = None
    """Called before every start: removes what a dead predecessor left."""

    is_ready: Callable[[], bool] | None = None
    """Whether it answers; None when the stack is ready without it."""

    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    orphan_signal: signal.Signals = signal.SIGKILL
    """What it gets when the process that started it dies."""

    celery_node: str | None = None
    """Its name among Celery's workers, if it is one: it is pinged by it."""

    door: int | None = None
    """The port of loopback where it answers HTTP, if it is to be replaced when it no longer does."""

    beats: bool = False
    """Whether it touches its log while it gets on (`logging.beat`); it is replaced when it stops that."""

    hears_shell: bool = False
    """Whether it is handed what the shell had in which the stack was started (`egg_tasks.shell`)."""


class Child:
    """A running program. It must be started from the main thread, whose death is what it dies of."""

    def __init__(self, program: Program, log: Path) -> None:
        if program.before is not None:
            program.before()
        self.program = program
        self._log = log
        handed = (
            shell.handed_on(shell.variables()) if program.hears_shell else nullcontext(subprocess.DEVNULL)
        )
        with logs.opened(log) as output, handed as stdin:
            self._process = subprocess.Popen(
                program.argv,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(program.environment),
                cwd=program.directory,
                start_new_session=True,
                preexec_fn=_dying_with_parent(program.orphan_signal),  # noqa: PLW1509  prctl alone, no threads
                **identity(program.account),
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def touched_at(self) -> int:
        """When its log was last written or touched, in nanoseconds; 0 when nobody knows."""
        try:
            return self._log.stat().st_mtime_ns
        except OSError:
            return 0

    def exit_code(self) -> int | None:
        """Return how it ended, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send its stop signal, to it alone: what it started decides for itself."""
        with suppress(ProcessLookupError):
            self._process.send_signal(self.program.stop_signal)

    def await_end(self, timeout: float) -> None:
        """Wait until it has ended; kill it after *timeout* seconds."""
        try:
            self._process.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once and wait until it is gone."""
        self._process.kill()
        self._process.wait()


def protect() -> None:
    """Have the kernel that runs out of memory take others before us and what we start; only root may."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(f"{PROTECTION}\n")


def _dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a child does before its exec, so that it gets *number* when its parent dies; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return tie
