"""What the CLI asks of the local stack: bring it up, take it down, find it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from egg_tasks import disk, interpreter, settings_file, shell, version
from egg_tasks.stack import commands, frozen, lock, logs, manifest, preflight, probes, supervisor, tcp_ports
from egg_tasks.stack import home as homes
from egg_tasks.stack.manifest import Manifest
from models.errors import Unavailable, Unprocessable

UP_SECONDS = 180.0
DOWN_SECONDS = 120.0
POLL_SECONDS = 0.1


def up(
    home: Path,
    *,
    report: Callable[[str], None],
    environ: Mapping[str, str],
    command: Sequence[str] = (),
    keeps_version: bool = False,
) -> Manifest:
    """Start the stack of *home* unless it runs, and return when it is ready; safe to call at once.

    One that another version has started is started anew, unless that is to be kept; its agents live on.

    What is wrong comes as `Unavailable` or `Unprocessable`, in a sentence, with the end of the log of
    the process that failed. Who interrupts it leaves nothing behind of what it has started.
    """
    given = surroundings(home, environ)
    command = command or interpreter.command(supervisor.__name__)
    try:
        return _brought_up(home, given, command, report, keeps_version=keeps_version)
    except KeyboardInterrupt:
        # It may be ready already, and nobody has been told.
        if (pid := lock.holder(home)) and _is_our_child(pid):
            down(home, report=report)
        raise


def _brought_up(
    home: Path,
    given: Mapping[str, str],
    command: Sequence[str],
    report: Callable[[str], None],
    *,
    keeps_version: bool,
) -> Manifest:
    deadline = time.monotonic() + UP_SECONDS
    waiting = False
    while time.monotonic() < deadline:
        if lock.holder(home) is None:
            _start(home, given, command, report)
        found = running(home)
        if not keeps_version and (other := _other(found)):
            report(f"{other} started the stack in {home}; it is started anew by egg {version.ours()}")
            down(home, report=report)
            continue
        if found and probes.http_answers(found.api_port, commands.READY_PATH) and running(home) == found:
            tell_differences(home, given, found, report)
            if short := disk.shortage(home):
                report(short)
            return found
        if not waiting:
            waiting = True
            report(disk.shortage(home) or "waiting for the stack that is starting or stopping here")
        time.sleep(POLL_SECONDS)
    disk.need(home)
    raise Unavailable(
        f"the stack in {home} runs but is not ready; look into {home / 'logs'}, or stop it with `egg down`"
    )


def surroundings(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What a stack of *home* that is started now would be told: the environment's, else settings.toml's."""
    return manifest.without_own(home, settings_file.completed(environ, home))


def tell_differences(
    home: Path, environ: Mapping[str, str], found: Manifest, report: Callable[[str], None]
) -> None:
    """Report what a stack started now, in this shell, would do otherwise than the one that runs."""
    if lines := frozen.differences(frozen.taken(found), frozen.of(home, environ)):
        report("the stack was started with other settings; `egg down`, then `egg up`, changes them:")
        for line in lines:
            report(f"  {line}")


def down(home: Path, *, report: Callable[[str], None] | None = None) -> bool:
    """Stop the stack of *home*, in order; whether one ran. Agents go on: the next stack finds them."""
    pid = lock.holder(home)
    if pid is None:
        return False
    if report:
        report(f"stopping the stack in {home}")
    deadline = time.monotonic() + DOWN_SECONDS
    asked = None
    while (pid := lock.holder(home)) is not None:
        # its id is written a moment after the lock is taken
        if pid and pid != asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            asked = pid
        if time.monotonic() > deadline:
            raise Unavailable(f"the stack in {home} (process {pid}) does not stop; look into {home / 'logs'}")
        time.sleep(POLL_SECONDS)
    return True


def find(home: Path) -> Manifest | None:
    """Return the stack that runs in *home*, whether it is ready or not; None if none does."""
    pid = lock.holder(home)
    found = manifest.read(home) if pid is not None else None
    return replace(found, supervisor_pid=pid or found.supervisor_pid) if found else None


def running(home: Path) -> Manifest | None:
    """What the stack that runs in *home* has written of itself; None as long as it has not, or none runs."""
    pid, written = lock.holder(home), manifest.read(home)
    return written if pid and written and written.supervisor_pid == pid else None


def is_uprooted(home: Path) -> bool:
    """Whether the stack of *home* runs on a program that is gone, so that nothing it starts would start."""
    found = running(home)
    return found is not None and _is_gone(found.program)


def _is_gone(program: str) -> bool:
    return bool(program) and not Path(program).exists()


def _other(found: Manifest | None) -> str:
    """The version that started a stack if that is not ours, or not there any more; else empty."""
    if found is None or (found.version == version.ours() and not _is_gone(found.program)):
        return ""
    return version.named(found.version)


def _start(
    home: Path, environ: Mapping[str, str], command: Sequence[str], report: Callable[[str], None]
) -> None:
    """Start a supervisor that outlives us and listen until it is ready; another one's lock is no error.

    Whatever interrupts us, also within Popen, it sees that nobody listens any more and stops what it has
    started.
    """
    homes.prepare(home)
    tcp_ports.need_loopback()
    log = home / "logs" / "supervisor.log"
    with logs.opened(log) as output, shell.handed_on(environ) as stdin:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=output,
            env=commands.environment(home, environ, None),
            cwd="/",
            start_new_session=True,
            text=True,
        )
    try:
        failure = _failure(process, report)
    except BaseException:
        _give_up(process, report)
        raise
    finally:
        if process.stdout:
            process.stdout.close()
    if failure is not None:
        _explain(process.returncode, failure.removeprefix(supervisor.FAILED).strip(), log)


def _failure(process: subprocess.Popen[str], report: Callable[[str], None]) -> str | None:
    """What a supervisor says of why it ends; None once it is ready."""
    failure = ""
    for line in process.stdout or ():
        if failure or line.startswith(supervisor.FAILED):
            failure += line
        elif line.strip() != supervisor.READY:
            report(line.strip())
        else:
            # it goes on without us: there is nobody to wait for
            process.returncode = 0
            return None
    process.wait()
    return failure


def _give_up(process: subprocess.Popen[str], report: Callable[[str], None]) -> None:
    """Have a supervisor that is not ready stop what it has started, and wait until all of it is gone."""
    with suppress(OSError):
        report("stopping what was started")
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(DOWN_SECONDS)


def _explain(code: int, said: str, log: Path) -> None:
    """Raise what a supervisor that ended said; nothing if another one was first, or it was stopped."""
    if code in {0, supervisor.TAKEN}:
        return
    if code == preflight.REFUSED and said:
        raise Unprocessable(said)
    if code == preflight.AWAY and said:
        raise Unavailable(said)
    raise Unavailable(f"the stack's supervisor ended ({code}); its log {log} ends:\n{logs.tail(log)}")


def _is_our_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
