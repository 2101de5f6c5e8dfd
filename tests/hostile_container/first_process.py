"""The shim, which starts the agent and says how it ended: looked into, stopped, forged."""

import ctypes
import os
import signal
import time
from pathlib import Path

from tests.hostile_container.attempt import SHARED, Facts, Refused, attempt

OWN = "/run/egg-shim"
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
IN_CREATE, IN_ATTRIB = 0x100, 0x4


def shim() -> int:
    """The first process of our kind: in a container of its own it is 1."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            said = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"container_shim.py" in said or (
            b"/shim.py" in said and os.environ["EGG_AGENT_RUN_ID"].encode() in said
        ):
            return pid
    raise Refused("it sees no shim")


def named(text: str, facts: Facts) -> str:
    """A name below the shim's place, in what was found; `Refused` for none."""
    place = facts.get("box", OWN)
    _, _, rest = text.partition(f"{place}/")
    if not rest:
        raise Refused("nothing names where the shim works")
    return f"{place}/{rest.split('/')[0].split()[0]}"


@attempt("where the shim works, by its current directory", wall="closed shim", process=SHARED)
def shims_directory(facts: Facts) -> str:
    return f"it is {named(os.readlink(f'/proc/{shim()}/cwd') + '/', facts)}"


@attempt("the shim's environment", wall="closed shim", process=SHARED)
def shims_environment(_facts: Facts) -> str:
    return f"{len(Path(f'/proc/{shim()}/environ').read_bytes())} bytes of it"


@attempt("what the shim has open: output, locks", wall="closed shim", process=SHARED)
def shims_files(_facts: Facts) -> str:
    found = [os.readlink(f"/proc/{shim()}/fd/{name}") for name in os.listdir(f"/proc/{shim()}/fd")]
    return f"{len(found)} of them, {next(name for name in found if 'output.log' in name)} among them"


@attempt("the shim's memory, with token and keys of the run", wall="closed shim", process=SHARED)
def shims_memory(_facts: Facts) -> str:
    pid = shim()
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    start, _, end = next(line for line in maps if "[heap]" in line).split()[0].partition("-")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(int(start, 16))
        return f"{len(memory.read(min(int(end, 16) - int(start, 16), 1 << 20)))} bytes of it"


@attempt("the shim held by ptrace", wall="closed shim", process=SHARED)
def shim_traced(_facts: Facts) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    pid = shim()
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    libc.ptrace(PTRACE_DETACH, pid, 0, 0)
    return "held it, and let it go"


@attempt("where the shim works, by any process beside the agent", wall="closed shim", process=SHARED)
def any_trace(facts: Facts) -> str:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        for look in (traces, links):
            try:
                return f"it is {named(look(pid), facts)}, says process {pid}"
            except (OSError, Refused):
                continue
    raise Refused("nothing names where the shim works")


def traces(pid: str) -> str:
    """What can be read of a process."""
    names = ("environ", "cmdline", "maps", "mountinfo", "stack", "comm")
    return "".join(_read(f"/proc/{pid}/{name}") for name in names)


def links(pid: str) -> str:
    """Where what it has open leads."""
    descriptors = [f"fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
    mapped = [f"map_files/{name}" for name in os.listdir(f"/proc/{pid}/map_files")]
    return " ".join(
        _target(f"/proc/{pid}/{name}") + "/" for name in ("cwd", "root", "exe", *descriptors, *mapped)
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").replace("\0", "\n")
    except OSError:
        return ""


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


@attempt("its own end, forged: where the shim works is listed", wall="closed box", process=SHARED)
def forged_outcome(facts: Facts) -> str:
    place = (
        Path(facts["box"], os.environ["EGG_AGENT_RUN_ID"]) if "box" in facts else next(Path(OWN).iterdir())
    )
    (place / "forged").write_text('{"exit_code": 0}')
    (place / "forged").unlink()
    return "it wrote beside its outcome"


@attempt("where the shim works, by being told of changes there (inotify)", wall="closed box", process=SHARED)
def watched_box(facts: Facts) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    place = facts.get("box", OWN)
    if libc.inotify_add_watch(libc.inotify_init1(os.O_NONBLOCK), place.encode(), IN_CREATE | IN_ATTRIB) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "it is told of what comes and goes there"


@attempt("the shim ended (SIGKILL)", wall="first process", process=SHARED)
def shim_killed(_facts: Facts) -> str:
    pid = shim()
    os.kill(pid, signal.SIGKILL)
    return gone(pid, "Z")


@attempt("the shim stopped (SIGSTOP), so that nobody is told anything", wall="first process", process=SHARED)
def shim_frozen(_facts: Facts) -> str:
    pid = shim()
    os.kill(pid, signal.SIGSTOP)
    said = gone(pid, "T")
    os.kill(pid, signal.SIGCONT)
    return said


def gone(pid: int, state: str) -> str:
    """Wait a little for a process to be as it should not."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        try:
            found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "it is gone"
        if found == state:
            return f"it is {'dead' if state == 'Z' else 'stopped'}"
        time.sleep(0.01)
    raise Refused("the kernel keeps the signal from the first process")


def gone_past(name: str, error: int) -> str:
    """Whether a system call came past the question who asks; it is then refused for its arguments at most."""
    if error in {1, 13, 38}:
        raise Refused(os.strerror(error))
    return f"{name} was let in ({os.strerror(error) if error else 'done'})"
