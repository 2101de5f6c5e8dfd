# Plain os calls throughout: pathlib would cost every agent 5 ms and a megabyte, json and signal 11 ms.
# ruff: noqa: PTH104, PTH110, PTH123, PTH208
"""The first process of every agent: starts it once, outlives the orchestrator, writes down how it ended.

    python -I -S shim.py RUN_DIRECTORY

Reads `token` there, and from standard input what to run, with secrets that no file holds; leaves
`shim.lock` (held while it lives), `started` (the once-only mark), `agent.pid`, `output.log`, `alive` (touched
every 5 s; a line says when it was not) and, last, `outcome.json` (`models.schemas.run.Exit`). Nothing that
the agent gets leads there. SIGTERM and SIGINT go on to its group, SIGUSR2 kills it, SIGUSR1 goes to those of
its processes that catch it, a file `stop` keeps it from starting. Standard output is closed with the mark
taken. Exits 0 without a word when another shim has the run.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # without the enum of them
import ctypes
import fcntl
import marshal
import os
import select
import sys
import time
from _json import encode_basestring_ascii as quoted

TYPE_CHECKING = False  # typing itself takes another 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PARENT, SESSION = 1, 4, 36, 1, 3
OOM_SCORE, MOST_FILES = 500, 1 << 16
STOPPING, KILLING, TELLING = {signal.SIGTERM, signal.SIGINT}, signal.SIGUSR2, signal.SIGUSR1
WATCHED = {*STOPPING, KILLING, TELLING, signal.SIGCHLD}
LOG_LIMIT, TAIL, CHUNK, RESERVED = 16 << 20, 256 << 10, 64 << 10, 8 << 10
SWEEP_SECONDS, TICK_SECONDS, ASLEEP_SECONDS, NICE = 10.0, 5.0, 10.0, 5
OUTCOME, OUTCOME_DRAFT, MISSING = "outcome.json", "outcome.json.new", "missing: "
libc = ctypes.CDLL(None, use_errno=True)


class NotStarted(Exception):
    """The agent's program could not be started; the text says why."""


class OutputLog:
    """The agent's output on its way to `output.log`.

    It goes through a pipe and not straight to the file: so a limit holds, and a full disk costs output and
    never the agent. The file's mtime is the agent's last activity, also when what it said is dropped.
    """

    def __init__(self, secrets: dict[str, str]) -> None:
        self.hiding: Any = None
        if secrets:
            from egg_tasks.runners.hiding import Hiding

            self.hiding = Hiding(secrets)
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.log = os.open("output.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.room, self.tail, self.ticked_at = LOG_LIMIT, b"", 0.0
        self.alive = os.open("alive", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def pump(self) -> bool:
        """Move one chunk; False when there is none, now or ever."""
        try:
            chunk = os.read(self.reader, CHUNK)
        except BlockingIOError:
            return False
        if chunk:
            self.keep(self.hiding.of(chunk) if self.hiding else chunk)
        return bool(chunk)

    def keep(self, chunk: bytes) -> None:
        """Append what there is room for; of the rest the end is kept here until there is no more."""
        kept, self.tail = chunk[: max(0, self.room)], (self.tail + chunk[max(0, self.room) :])[-TAIL:]
        self.room -= len(chunk)
        try:
            os.write(self.log, kept) if kept else os.utime(self.log)
        except OSError:
            return

    def finish(self) -> None:
        """Append the end of what there was no room for, behind a line that says what is cut."""
        if self.room < 0:
            cut = b"\n[egg: %d bytes are cut here]\n" % (-self.room - len(self.tail))
            self.room, tail = len(cut) + len(self.tail), self.tail
            self.keep(cut + tail)

    def tick(self) -> None:
        """Touch `alive` if it is time: so a machine that sleeps is told from one without an orchestrator."""
        silent = time.time() - self.ticked_at
        if 0 <= silent < TICK_SECONDS:
            return
        began, self.ticked_at = self.ticked_at, self.ticked_at + silent
        try:
            if silent >= ASLEEP_SECONDS:
                os.write(self.alive, b"%.3f %.3f\n" % (began, self.ticked_at))
            os.utime(self.alive, (self.ticked_at, self.ticked_at))
        except OSError:
            return


def moment() -> str:
    """Return the time now, ISO 8601 in UTC."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06d}+00:00"


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on, so that field N of its manual is at N - 3."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()


def identity(pid: int) -> str:
    """Return what tells a process from every other, before and after it: pid, start time, boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
        return f"{pid} {stat_fields(pid)[19]} {boot.read().strip()}\n"


def record(agent: int) -> None:
    """Write down who the agent is, and how late it came, for whoever must clear up after a killed shim."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            forks = next(line.split()[1] for line in stat if line.startswith("processes "))
        with open("agent.pid.new", "w", encoding="utf-8") as draft:
            draft.write(identity(agent) + forks + "\n")
        os.rename("agent.pid.new", "agent.pid")
    except OSError:
        # A full disk: what is left of the agent is then found by its environment alone.
        return


def sync(name: str) -> None:
    """Make a file, or the names in a directory, outlive a power cut."""
    descriptor = os.open(name, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def claim() -> bool:
    """Take the run: its lock for as long as this process lives, and its once-only mark. False if taken."""
    lock = os.open("shim.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if os.path.exists("started"):
        return False
    # Room for the outcome is taken before there is anything to tell: a full disk must not lose it.
    with open(OUTCOME_DRAFT, "w", encoding="utf-8") as draft:
        draft.write(" " * RESERVED)
    sync(OUTCOME_DRAFT)
    # Whoever sees the mark finds the lock held and its holder named.
    os.ftruncate(lock, 0)
    os.write(lock, identity(os.getpid()).encode())
    os.close(os.open("started", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    sync(".")
    return True


def open_signals() -> int:
    """Return a descriptor that turns readable when a watched signal arrives; they are blocked by now."""
    mask = sum(1 << (number - 1) for number in WATCHED).to_bytes(8, sys.byteorder) + bytes(120)
    descriptor = int(libc.signalfd(-1, mask, os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return descriptor


def read_signals(descriptor: int) -> Iterator[int]:
    """Return the signals that have arrived."""
    try:
        records = os.read(descriptor, 128 * 16)
    except BlockingIOError:
        return
    for offset in range(0, len(records), 128):
        yield int.from_bytes(records[offset : offset + 4], sys.byteorder)


def go_first(brand: int) -> None:
    """Have the kernel end this process first, serve others before it and its session, know it by a limit."""
    import resource  # of use to agents alone

    most = resource.getrlimit(resource.RLIMIT_NPROC)[1] * 3 // 4  # no limit is -1, and stays so
    kinds = (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_RTTIME)
    for kind, limit in zip(kinds, (0, MOST_FILES, most, brand)):  # noqa: B905 # Python 3.9
        soft, hard = (min(bound, limit, key=lambda n: n % (1 << 64)) for bound in resource.getrlimit(kind))
        resource.setrlimit(kind, (soft, hard))
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as score:
            score.write(b"%d" % min(int(score.read()) + OOM_SCORE, 1000))
        os.nice(NICE)
        with open("/proc/self/autogroup", "wb", buffering=0) as session:
            session.write(b"%d" % NICE)
    except OSError:
        return


def become(spec: dict[str, Any], streams: tuple[int, int], parent: int) -> str:
    """Turn this process into the agent; returns only when that fails, with the reason."""
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_DUMPABLE, 1)  # else its limits are not its own to set
    if os.getppid() != parent:
        os._exit(1)
    for source, target in ((streams[0], 0), (streams[1], 1), (streams[1], 2)):
        os.dup2(source, target)
    try:
        os.chdir(spec["directory"])
    except OSError as error:
        return f"cannot enter directory {spec['directory']}: {os.strerror(error.errno or 0)}"
    # Python ignores the latter two, and what is ignored stays so across exec.
    for number in (*STOPPING, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    go_first(spec["brand"])
    try:
        os.execvpe(spec["argv"][0], spec["argv"], spec["environment"])  # noqa: S606 # never a shell
    except (OSError, ValueError) as error:
        from egg_tasks.runners.unstarted import explain  # of use to few

        return explain(error, spec["argv"][0])


def start(spec: dict[str, Any], writer: int) -> int:
    """Start the agent and return its pid, which is also its process group's."""
    parent = os.getpid()
    verdict, failure = os.pipe()
    prompt = os.open(spec["prompt_file"], os.O_RDONLY)
    try:
        pid = os.fork()
    except OSError as error:
        raise NotStarted(f"cannot start a process: {os.strerror(error.errno or 0)}") from error
    if pid == 0:
        try:
            os.write(failure, become(spec, (prompt, writer), parent).encode(errors="replace")[:1000])
        finally:
            os._exit(127)
    for descriptor in (failure, prompt, writer):
        os.close(descriptor)
    record(pid)
    # The pipe closes by itself when the program runs, so signals are passed on only from then.
    reason = os.read(verdict, 1000)
    os.close(verdict)
    if reason:
        os.waitpid(pid, 0)
        raise NotStarted(reason.decode(errors="replace"))
    return pid


def send(number: int, pid: int) -> None:
    """Send a signal to a process, or to the group *-pid*, as far as there is one."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def catches(pid: int) -> bool:
    """Return whether a process has a handler for SIGUSR1."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            caught = next((line.split()[1] for line in status if line.startswith("SigCgt:")), "0")
    except OSError:
        return False
    return bool(int(caught, 16) >> (TELLING - 1) & 1)


def processes(field: int, value: int) -> Iterator[int]:
    """Return the pids of those processes whose /proc/PID/stat has *value* there."""
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and stat_fields(int(name))[field] == str(value):
                yield int(name)
        except (OSError, IndexError):
            continue


def reap(agent: int) -> int | None:
    """Bury every child that has ended; the agent's wait status if it was among them."""
    status = None
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return status
        if ended is None:
            return status
        if ended.si_pid == agent:
            # Before it is buried: until then its number cannot belong to anyone else's group.
            send(signal.SIGKILL, -agent)
        code = os.waitpid(ended.si_pid, 0)[1]
        status = code if ended.si_pid == agent else status


def supervise(agent: int, output: OutputLog, signals: int) -> tuple[int, bool]:
    """Pass signals on and output through until the agent ends: its wait status, and whether it was told."""
    poll = select.poll()
    poll.register(output.reader, select.POLLIN)
    poll.register(signals, select.POLLIN)
    stopped = False
    while True:
        output.tick()
        ready = {descriptor for descriptor, _ in poll.poll(TICK_SECONDS * 1000)}
        if output.reader in ready and not output.pump():
            poll.unregister(output.reader)
        for number in read_signals(signals) if signals in ready else ():
            if number in STOPPING or number == KILLING:
                stopped = True
                send(signal.SIGKILL if number == KILLING else number, -agent)
            elif number == TELLING:
                for pid in filter(catches, processes(SESSION, agent)):
                    send(TELLING, pid)
        if (status := reap(agent)) is not None:
            return status, stopped


def sweep(signals: int) -> bool:
    """Kill what the agent left behind: orphans come to this process, level by level. Whether none is left."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < deadline:
        reap(0)
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        for pid in processes(PARENT, os.getpid()):
            # With its group: one that goes from process to process is never there for long enough itself.
            send(signal.SIGKILL, -os.getpgid(pid))
        select.select([signals], (), (), 0.05)
        list(read_signals(signals))
    return False


def run(spec: dict[str, Any], signals: int) -> dict[str, Any]:
    """Run the agent to its end and return the outcome."""
    outcome: dict[str, Any] = {"started_at": moment()}
    if os.path.exists("stop") or signal.sigpending() & {*STOPPING, KILLING}:
        return {**outcome, "signal": int(signal.SIGTERM), "stopped": True, "ended_at": moment()}
    output = OutputLog(spec["secrets"])
    try:
        agent = start(spec, output.writer)
    except NotStarted as error:
        outcome["error"], outcome["is_missing"] = str(error).removeprefix(MISSING), MISSING in str(error)[:9]
        return {**outcome, "stopped": os.path.exists("stop"), "ended_at": moment()}
    status, stopped = supervise(agent, output, signals)
    outcome |= {"stopped": stopped or os.path.exists("stop"), "ended_at": moment()}
    code = os.waitstatus_to_exitcode(status)
    outcome["exit_code" if code >= 0 else "signal"] = abs(code)
    outcome["is_swept"] = sweep(signals)
    # With nobody left to write, what is in the pipe has an end.
    while (output.room > 0 or outcome["is_swept"]) and output.pump():
        pass
    output.keep(output.hiding.rest() if output.hiding else b"")
    output.finish()
    return outcome


def read_spec() -> dict[str, Any]:
    """Return what to run, with token and secrets where the agent looks for them."""
    with open(0, "rb") as stdin:
        spec: dict[str, Any] = marshal.load(stdin)  # noqa: S302 # from who started this, and nobody else
    os.open(os.devnull, os.O_RDONLY)  # in its place
    if os.path.exists("token"):
        with open("token", encoding="utf-8") as file:
            spec["environment"]["EGG_SESSION_TOKEN"] = file.read().strip()
    spec["environment"].update(spec["secrets"])
    return spec


def publish(outcome: dict[str, Any]) -> None:
    """Make the outcome the run's, in the room reserved for it; blanks after a JSON text mean nothing."""
    values = {key: quoted(it) if isinstance(it, str) else str(it).lower() for key, it in outcome.items()}
    with open(OUTCOME_DRAFT, "r+", encoding="utf-8") as draft:
        draft.write("{" + ", ".join(f'"{key}": {value}' for key, value in values.items()) + "}")
    sync(OUTCOME_DRAFT)
    os.rename(OUTCOME_DRAFT, OUTCOME)
    sync(".")


def main(directory: str) -> NoReturn:
    """Claim the run, run it, say how it ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(directory)
    if not claim():
        os._exit(0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    sys.path.append(__file__.rsplit("/", 3)[0])
    publish(run(read_spec(), open_signals()))
    # The interpreter's own farewell takes longer than everything above.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
