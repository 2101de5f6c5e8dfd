"""Agents as plain processes of this machine, each under a shim that outlives whoever started it."""

import marshal
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from egg_tasks import agent_tools, disk, removal, run_places
from egg_tasks.foreign_files import written_at
from egg_tasks.runners import alive, liveness, room, run_directory
from models.errors import NoRoom, NotSet, TooNew, Unavailable
from models.schemas.disk_use import DiskUse
from models.schemas.layout import Layout
from models.schemas.run import Exit, Launch
from models.schemas.silence import Silence

SHIM = Path(__file__).with_name("shim.py")
MARK_SECONDS = 20.0
KILL_SECONDS = 5.0


class ProcessRunner:
    """Runs agents as processes, each given what is in *root*/RUN_ID; what is ours is beside it, in `shims`.

    Stateless but for the pids of its own children, which it buries: any process of the same user on the
    same machine may wait for, stop and read any run. For trusted commands: agents share our user.
    """

    def __init__(self, root: Path, python: str = sys.executable, *, is_refused: bool = False) -> None:
        self._root = root.absolute()
        self._python = python
        self._is_refused = is_refused
        self._children: set[int] = set()
        self._lock = threading.Lock()

    def directory(self, run_id: UUID) -> Path:
        """What a run's agent is given and may write: `prompt.md` is its prompt, `signal` what it is told."""
        return self._root / str(run_id)

    def layout(self, run_id: UUID, *, directory: Path | None = None) -> Layout:
        """Where everything of a run lies; its agent sees the same paths as we do."""
        tools = agent_tools.place(self._root.parent)
        return run_places.layout(self.directory(run_id), directory=directory, tools=tools)

    def own(self, run_id: UUID) -> Path:
        """What is ours of a run, where its agent has no business."""
        return run_places.ours(self.directory(run_id))

    def need(self) -> None:
        """Nothing is needed that may be away."""

    def ensure(self, launch: Launch) -> None:
        """Start the run unless it was started before. HOME, unless it is given, and TMPDIR are its own.

        `NotSet` where nothing may start as a process.
        """
        self._bury()
        if self.has_started(launch.run_id):
            return
        if self._is_refused:
            raise NotSet(
                "this machine starts nothing that has no container of its own (EGG_ISOLATION=docker): say"
                " `isolation: docker` in the definition, of all or of this one"
            )
        directory = self.directory(launch.run_id)
        try:
            spec = run_directory.write(directory, launch)
            self._start_shim(self.own(launch.run_id), {**spec, "secrets": dict(launch.secrets)})
        except OSError as error:
            kind = NoRoom if disk.is_full(error) else Unavailable
            raise kind(
                f"cannot start agent run {launch.run_id} in {directory}: {error.strerror or error}; "
                "free what is short and it is tried again"
            ) from error

    def has_started(self, run_id: UUID) -> bool:
        """Whether the run has taken its once-only start mark; `Unavailable` for one of a newer release."""
        return run_directory.has_started(self._known(run_id))

    def is_newer(self, run_id: UUID) -> bool:
        """Whether the run was laid out by a release that knows more of it than this one."""
        return run_directory.find_layout(self.own(run_id)) > run_directory.NEWEST

    def list_newer(self) -> Collection[UUID]:
        """The runs on this machine that only a newer release can attend."""
        return [run_id for own in run_places.all_ours(self._root) if self.is_newer(run_id := UUID(own.name))]

    def wait(self, run_id: UUID, *, timeout: timedelta) -> Exit | None:
        """Return how the run ended, or None if it still runs after *timeout*.

        A run that was never started has vanished: ask after `ensure`.
        """
        own = self.own(run_id)
        deadline = time.monotonic() + timeout.total_seconds()
        while (ended := run_directory.find_exit(own)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            liveness.await_end(own, left)
        self._bury()
        return ended

    def stop(self, run_id: UUID) -> None:
        """Ask the run to end; one that has not started then never will, and ends as stopped."""
        own = self._known(run_id)
        self._request_stop(own)
        if run_directory.has_started(own):
            liveness.signal_shim(own, signal.SIGTERM)

    def kill(self, run_id: UUID) -> None:
        """End the run at once; over when this returns. Its exit says `stopped` as well."""
        own = self._known(run_id)
        self._request_stop(own)
        if not run_directory.has_started(own):
            return
        if liveness.signal_shim(own, signal.SIGUSR2):
            deadline = time.monotonic() + KILL_SECONDS
            while liveness.is_held(own) and (left := deadline - time.monotonic()) > 0:
                liveness.await_end(own, left)
            liveness.kill_shim(own)
        run_directory.find_exit(own)
        self._bury()

    def attended(self, run_id: UUID) -> AbstractContextManager[None]:
        """Nothing is to be done for looks."""
        del run_id
        return nullcontext()

    def still(self, run_id: UUID) -> AbstractContextManager[None]:
        """Agents that are our user have nothing to win by what we would read for them: they go on."""
        del run_id
        return nullcontext()

    def tell(self, run_id: UUID, text: str) -> None:
        """Leave *text* in the run's signal file; where it asked for SIGUSR1, those that catch it get it."""
        own = self._known(run_id)
        if run_directory.has_started(own) and not run_directory.was_told(own, text):
            wake = partial(liveness.signal_shim, own, signal.SIGUSR1)
            run_directory.tell(self.directory(run_id), own, text, wake=wake)

    def disk_use(self, run_id: UUID) -> DiskUse | None:
        """A process shares our user's part of the disk, which nobody here limits."""
        del run_id
        return None

    def last_active_at(self, run_id: UUID) -> datetime | None:
        """When the run last wrote output, or None if it never did."""
        return written_at(self.own(run_id), run_places.LOG)

    def read_log(self, run_id: UUID, *, offset: int, limit: int) -> bytes:
        """Up to *limit* bytes of the run's output from byte *offset*; empty at the end."""
        return run_directory.read_log(self.own(run_id), offset=offset, limit=limit)

    def forget(self, run_id: UUID) -> None:
        """Remove the log of a run that is over, and all else that is noted of it."""
        if run_directory.find_layout(self.own(run_id)) == run_directory.CONTAINER_LAYOUT:
            return
        run_directory.clear(run_places.room(self.directory(run_id)))
        try:
            removal.put_away(self._root.with_name(run_places.SHIMS), str(run_id))
        except OSError as error:
            raise Unavailable(f"the log of agent run {run_id} cannot be removed: {error}") from error

    def tidy(self) -> None:
        """Remove the short paths to homes of roles that are gone."""
        try:
            room.tidy(self._root.parent)
        except OSError as error:
            raise Unavailable(f"{self._root.parent} cannot be tidied: {error}") from error

    def list_live(self) -> Collection[UUID]:
        """The runs on this machine whose supervisor lives."""
        live = [UUID(own.name) for own in self._started() if liveness.is_held(own)]
        return [run_id for run_id in live if not self.is_newer(run_id)]

    def list_present(self) -> Collection[UUID]:
        """None: of a process that has ended there are only files."""
        return ()

    def end_stranger(self, run_id: UUID) -> bool:  # noqa: ARG002  as every runner has it
        """Nothing is there."""
        return False

    def list_silences(self, *, since: datetime) -> Collection[Sequence[Silence]]:
        """For each run here whose shim has ticked after *since*, ended or not: when it did not tick."""
        now = datetime.now(UTC)
        found = (alive.read(own, now=now) for own in self._started())
        # The last silence is the one that goes on.
        return [silences for silences in found if silences and silences[-1].began_at > since]

    def _started(self) -> Iterator[Path]:
        return filter(run_directory.has_started, run_places.all_ours(self._root))

    def _request_stop(self, own: Path) -> None:
        """Leave word that the run is to end; where there is no room for it, a signal must do."""
        try:
            run_directory.request_stop(own)
        except OSError as error:
            if not run_directory.has_started(own):
                raise Unavailable(
                    f"cannot keep agent run {own.name} from starting: {error.strerror or error} in {own}; "
                    "free what is short and it is tried again"
                ) from error

    def _known(self, run_id: UUID) -> Path:
        """What is ours of the run, unless a newer release has laid it out: nobody here knows that."""
        if self.is_newer(run_id):
            raise TooNew(
                f"agent run {run_id} was started by a newer egg and is left alone: "
                "start the stack with that egg again (`egg up`), which attends it"
            )
        return self.own(run_id)

    def _start_shim(self, own: Path, spec: Mapping[str, object]) -> None:
        """Start a shim and wait until it, or another, has taken the run's mark."""
        reader, writer = os.pipe()
        try:
            try:
                pid = _spawn(self._python, own, writer, spec)
            finally:
                os.close(writer)
            _await_end_of_file(reader, MARK_SECONDS)
        finally:
            os.close(reader)
        status = _await_mark(own, pid)
        if status is None:
            with self._lock:
                self._children.add(pid)
        if not run_directory.has_started(own):
            how = "is too slow" if status is None else f"ended with status {status}"
            raise Unavailable(
                f"cannot start an agent: its shim {how} (see {own / 'shim.log'}); it is tried again"
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


def _spawn(python: str, own: Path, writer: int, spec: Mapping[str, object]) -> int:
    """Start a shim that has nothing of ours: no descriptor, no signal setting, no environment.

    What it is to do it reads from its standard input, a file in memory, since secrets are to be written
    nowhere; as Python writes it for itself, which is read without what takes long to import.
    """
    # An interpreter outside the system's library path needs this one to start at all.
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    stdin = os.memfd_create("egg-spec")
    try:
        os.write(stdin, marshal.dumps(dict(spec)))
        os.lseek(stdin, 0, os.SEEK_SET)
        return os.posix_spawn(
            python,
            [python, "-I", "-S", str(SHIM), str(own)],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, writer, 1),
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_OPEN, 2, own / "shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    finally:
        os.close(stdin)


def _await_end_of_file(reader: int, seconds: float) -> None:
    """Wait until the other end of a pipe is closed: a shim does so with its mark taken, or at its end."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.poll(int(seconds * 1000))


def _await_mark(own: Path, pid: int) -> int | None:
    """Wait until a run's mark is taken, by this shim or another; the shim's exit code if it has ended."""
    deadline = time.monotonic() + MARK_SECONDS
    status = _find_status(pid)
    while not status and not run_directory.has_started(own) and time.monotonic() < deadline:
        time.sleep(liveness.RETRY_SECONDS)
        status = _find_status(pid) if status is None else status
    return status
