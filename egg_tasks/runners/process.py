"""Agents as plain processes of this machine, each under a shim that outlives whoever started it."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from egg_tasks import disk
from egg_tasks.runners import alive, liveness, plain, run_directory
from models.errors import NoRoom, Unavailable
from models.schemas.run import Exit, Launch
from models.schemas.silence import Silence

SHIM = Path(__file__).with_name("shim.py")
MARK_SECONDS = 20.0
KILL_SECONDS = 5.0


class ProcessRunner:
    """Runs agents as processes, each in a directory *root*/RUN_ID that says everything about it.

    Stateless but for the pids of its own children, which it buries: any process of the same user on the
    same machine may wait for, stop and read any run. For trusted commands: agents share our user.
    """

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self._root = root.absolute()
        self._python = python
        self._children: set[int] = set()
        self._lock = threading.Lock()

    def directory(self, run_id: UUID) -> Path:
        """Where everything about a run is; `prompt.md` in it is its prompt."""
        return self._root / str(run_id)

    def ensure(self, launch: Launch) -> None:
        """Start the run unless it was started before. HOME, unless it is given, and TMPDIR are its own."""
        self._bury()
        if self.has_started(launch.run_id):
            return
        directory = self.directory(launch.run_id)
        try:
            run_directory.write(directory, launch)
            self._start_shim(directory)
        except OSError as error:
            kind = NoRoom if disk.is_full(error) else Unavailable
            raise kind(
                f"cannot start agent run {launch.run_id} in {directory}: {error.strerror or error}; "
                "free what is short and it is tried again"
            ) from error

    def has_started(self, run_id: UUID) -> bool:
        """Whether the run has taken its once-only start mark; `Unavailable` for one of a newer release."""
        return (self._known(run_id) / "started").exists()

    def is_newer(self, run_id: UUID) -> bool:
        """Whether the run was laid out by a release that knows more of it than this one."""
        return run_directory.find_layout(self.directory(run_id)) > run_directory.LAYOUT

    def list_newer(self) -> Collection[UUID]:
        """The runs on this machine that only a newer release can attend."""
        found = (UUID(path.name) for path in self._root.glob("*-*-*-*-*"))
        return [run_id for run_id in found if self.is_newer(run_id)]

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Return how the run ended, or None if it still runs after *timeout*.

        A run that was never started has vanished: ask after `ensure`.
        """
        directory = self.directory(run_id)
        deadline = time.monotonic() + timeout.total_seconds()
        while (ended := run_directory.find_exit(directory)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            liveness.await_end(directory, left)
        self._bury()
        return ended

    def stop(self, run_id: UUID) -> None:
        """Ask the run to end; one that has not started then never will, and ends as stopped."""
        run_directory.request_stop(self._known(run_id))
        if self.has_started(run_id):
            liveness.signal_shim(self.directory(run_id), signal.SIGTERM)

    def kill(self, run_id: UUID) -> None:
        """End the run at once; over when this returns. Its exit says `stopped` as well."""
        directory = self._known(run_id)
        run_directory.request_stop(directory)
        if not self.has_started(run_id):
            return
        if liveness.signal_shim(directory, signal.SIGUSR2):
            deadline = time.monotonic() + KILL_SECONDS
            while liveness.is_held(directory) and (left := deadline - time.monotonic()) > 0:
                liveness.await_end(directory, left)
            liveness.signal_shim(directory, signal.SIGKILL)
        run_directory.find_exit(directory)
        self._bury()

    def tell(self, run_id: UUID, text: str) -> None:
        """Leave *text* in the run's signal file and wake those of its processes that catch SIGUSR1."""
        directory = self.directory(run_id)
        if not self.has_started(run_id) or run_directory.was_told(directory, text):
            return
        try:
            run_directory.leave_signal(directory, text)
            liveness.signal_shim(directory, signal.SIGUSR1)
            run_directory.note_told(directory, text)
        except OSError as error:
            raise Unavailable(
                f"cannot tell agent run {run_id} anything in {directory}: {error.strerror or error}; "
                "it is tried again"
            ) from error

    def last_active_at(self, run_id: UUID) -> datetime | None:
        """When the run last wrote output, or None if it never did."""
        try:
            log = (self.directory(run_id) / "output.log").stat()
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(log.st_mtime, UTC) if log.st_size else None

    def read_log(self, run_id: UUID, *, offset: int, limit: int) -> bytes:
        """Up to *limit* bytes of the run's output from byte *offset*; empty at the end.

        The directory is the agent's to write in: what is no regular file of its own is not read.
        """
        try:
            with plain.opened(self.directory(run_id) / "output.log", longest=sys.maxsize) as log:
                # Not sought: no file system has room for every offset that may be asked for.
                return os.pread(log.fileno(), limit, offset)
        except OSError:
            return b""

    def list_live(self) -> Collection[UUID]:
        """The runs on this machine whose supervisor lives."""
        marks = self._root.glob("*-*-*-*-*/started")
        live = [UUID(mark.parent.name) for mark in marks if liveness.is_held(mark.parent)]
        return [run_id for run_id in live if not self.is_newer(run_id)]

    def list_silences(self, *, since: datetime) -> Collection[Sequence[Silence]]:
        """For each run here whose shim has ticked after *since*, ended or not: when it did not tick."""
        now = datetime.now(UTC)
        found = (alive.read(mark.parent, now=now) for mark in self._root.glob("*-*-*-*-*/started"))
        # The last silence is the one that goes on.
        return [silences for silences in found if silences and silences[-1].began_at > since]

    def _known(self, run_id: UUID) -> Path:
        """The run's directory, unless a newer release has laid it out: what is in it is not known then."""
        if self.is_newer(run_id):
            raise Unavailable(
                f"agent run {run_id} was started by a newer egg and is left alone: "
                "start the stack with that egg again (`egg up`), which attends it"
            )
        return self.directory(run_id)

    def _start_shim(self, directory: Path) -> None:
        """Start a shim and wait until it, or another, has taken the run's mark."""
        reader, writer = os.pipe()
        try:
            try:
                pid = _spawn(self._python, directory, writer)
            finally:
                os.close(writer)
            _await_end_of_file(reader, MARK_SECONDS)
        finally:
            os.close(reader)
        status = _await_mark(directory, pid)
        if status is None:
            with self._lock:
                self._children.add(pid)
        if not (directory / "started").exists():
            how = "is too slow" if status is None else f"ended with status {status}"
            raise Unavailable(
                f"cannot start an agent: its shim {how} (see {directory / 'shim.log'}); it is tried again"
            )

    def _bury(self) -> None:
        """Take leave of those of our children that have ended."""
        with self._lock:
            for pid in tuple(self._children):
                if _find_status(pid) is not None:
                    self._children.discard(pid)


def _find_status(pid: int) -> int | None:
    """Bury our child if it has ended and return its exit code, else None."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Somebody else in this process buried it: a supervisor's SIGCHLD handler, say.
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


def _spawn(python: str, directory: Path, writer: int) -> int:
    """Start a shim that has nothing of ours: no descriptor, no signal setting, no environment."""
    # An interpreter outside the system's library path needs this one to start at all.
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return os.posix_spawn(
        python,
        [python, "-I", "-S", str(SHIM), str(directory)],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, directory / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _await_end_of_file(reader: int, seconds: float) -> None:
    """Wait until the other end of a pipe is closed: a shim does so with its mark taken, or at its end."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.poll(int(seconds * 1000))


def _await_mark(directory: Path, pid: int) -> int | None:
    """Wait until a run's mark is taken, by this shim or another; the shim's exit code if it has ended."""
    deadline = time.monotonic() + MARK_SECONDS
    status = _find_status(pid)
    while not status and not (directory / "started").exists() and time.monotonic() < deadline:
        time.sleep(liveness.RETRY_SECONDS)
        status = _find_status(pid) if status is None else status
    return status
