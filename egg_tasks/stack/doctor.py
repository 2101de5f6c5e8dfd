"""What a stack needs of its machine, looked at one by one, each with how to mend it. Loopback only."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from egg_tasks import agent_tools, disk, settings_file, space, version
from egg_tasks.config import others
from egg_tasks.run_places import GATEWAY_SOCKET, gateway_of
from egg_tasks.settings_table import DATABASE_URL, REDIS_URL
from egg_tasks.stack import (
    binaries,
    commands,
    doctor_settings,
    frozen,
    lifecycle,
    manifest,
    preflight,
    probes,
    tcp_ports,
)
from egg_tasks.stack import home as homes
from egg_tasks.stack.finding import Finding
from egg_tasks.stack.run_as import closed_parent
from models.errors import EggError
from models.sizes import in_words

__all__ = ["Finding", "examine"]

OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 38)
SECONDS = 10.0


def examine(home: Path, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Look at everything the stack of *home* needs or can use; changes nothing."""
    own = manifest.without_own(home, environ)
    given = settings_file.completed_if_read(own, home)
    return (
        _egg(home),
        _python(),
        _git(),
        _directory(home),
        _disk(home),
        _space(home),
        _postgres(given),
        _valkey(given),
        _ports(home, given),
        _stack(home),
        _gateway(home),
        _others(given),
        *doctor_settings.examine(home, given),
        _environment(),
        _agents_path(home, given),
        _agent_program("claude", home, given),
        _agent_program("codex", home, given),
    )


def _egg(home: Path) -> Finding:
    """This version, and whether the stack is of another."""
    running, ours = lifecycle.running(home), version.ours()
    if running is None or running.version == ours:
        return Finding("egg", ok=True, text=ours)
    text = f"{ours}; the stack was started by {version.named(running.version)}"
    return Finding("egg", ok=None, text=text, mend="`egg up` restarts it; its agents live on")


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", sys.version_info >= OLDEST_PYTHON, found, "install Python 3.11 or newer")


def _git() -> Finding:
    said = _said("git", "--version")
    mend = "install git 2.38 or newer, which merges without a checkout"
    if said is None:
        return Finding("git", ok=False, text="not found", mend=mend)
    return Finding("git", _numbers(said) >= OLDEST_GIT, said, mend)


def _directory(home: Path) -> Finding:
    """The data directory, or where it would be made."""
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        mend = f"make {existing} writable, or set EGG_HOME to another place"
        return Finding("data directory", ok=False, text=f"{home} is not writable", mend=mend)
    if os.geteuid() == 0 and (closed := closed_parent(existing / "in it")) not in {None, home}:
        mend = "set EGG_HOME to a place that others than root can reach, such as /var/lib/egg"
        return Finding("data directory", ok=False, text=f"{closed} is closed to others", mend=mend)
    return Finding("data directory", ok=True, text=str(home))


def _disk(home: Path) -> Finding:
    existing = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    wanted = homes.bytes_needed(home)
    mend = f"free some space ({in_words(wanted)} are needed), or set EGG_HOME to another disk"
    # Room for files may be short where bytes are not.
    short = disk.shortage(home) if free >= wanted else None
    return Finding("disk", free >= wanted and not short, short or f"{in_words(free)} free", mend)


def _space(home: Path) -> Finding:
    """What takes the space there."""
    found = sorted(space.measure(home).items(), key=lambda pair: -pair[1])
    parts = ", ".join(f"{kind} {in_words(size)}" for kind, size in found if size)
    return Finding("space", ok=True, text=parts or "nothing yet")


def _postgres(environ: Mapping[str, str]) -> Finding:
    if url := environ.get(DATABASE_URL):
        return _asked("PostgreSQL", preflight.check_database, url, DATABASE_URL)
    return _program("PostgreSQL", lambda: binaries.find_postgres(environ) / "postgres")


def _valkey(environ: Mapping[str, str]) -> Finding:
    if url := environ.get(REDIS_URL):
        return _asked("Valkey", preflight.check_redis, url, REDIS_URL)
    return _program("Valkey", lambda: binaries.find_valkey(environ))


def _program(name: str, find: Callable[[], Path]) -> Finding:
    try:
        found = find()
    except EggError as error:
        text, _, mend = str(error).partition(": ")
        return Finding(name, ok=False, text=text, mend=mend)
    version = binaries.version_of(found)
    mend = "install it for this machine's processor and C library, or give the URL of a running server"
    return Finding(name, version is not None, f"{version or 'does not run'} ({found})", mend)


def _asked(name: str, check: Callable[[str], object], url: str, variable: str) -> Finding:
    where = f"{preflight.name_of(url)} ({variable})"
    try:
        check(url)
    except EggError as error:
        return Finding(name, ok=False, text=str(error), mend=f"start it, or unset {variable} to use our own")
    return Finding(name, ok=True, text=f"answers at {where}")


def _ports(home: Path, environ: Mapping[str, str]) -> Finding:
    """The API's port, which must be ours or free."""
    kept = manifest.read(home)
    given = environ.get("EGG_API_PORT", "")
    if lifecycle.find(home) and kept:
        return Finding("port", ok=True, text=f"{kept.api_port} is this stack's")
    try:
        tcp_ports.need_loopback()
    except EggError as error:
        return Finding("port", ok=False, text=str(error), mend="ip link set lo up")
    if not given.isdecimal() and not kept:
        return Finding("port", ok=True, text=f"{tcp_ports.choose(manifest.API_PORT)} will be used")
    port = int(given) if given.isdecimal() else kept.api_port if kept else manifest.API_PORT
    if tcp_ports.is_free(port):
        return Finding("port", ok=True, text=f"{port} is free")
    mend = "stop that, or set EGG_API_PORT to another port"
    return Finding("port", ok=False, text=f"{port} is taken by {tcp_ports.holder(port)}", mend=mend)


def _stack(home: Path) -> Finding:
    """The stack, with the database and the broker it uses."""
    found = lifecycle.find(home)
    if found is None:
        return Finding("stack", ok=None, text="not running", mend="start it with `egg up`")
    wrong = []
    for check, url, variable in (
        (preflight.check_database, found.database_url, DATABASE_URL),
        (preflight.check_redis, found.redis_url, REDIS_URL),
    ):
        if variable in found.frozen:  # one that was given: its password is not kept, and the API asks it
            continue
        try:
            check(url)
        except EggError as error:
            wrong.append(str(error))
    if not probes.http_answers(found.api_port, commands.READY_PATH):
        wrong.append(f"the API at {found.api_url} is not ready")
    mend = f"look into {home / 'logs'}; `egg down` and `egg up` start it anew"
    return Finding("stack", not wrong, "; ".join(wrong) or f"runs at {found.api_url}", mend)


def _gateway(home: Path) -> Finding:
    """The way out of this machine's agents."""
    found, socket = lifecycle.find(home), gateway_of(home) / GATEWAY_SOCKET
    if found is None:
        return Finding("gateway", ok=None, text="not running", mend="it is a part of the stack")
    doors = {
        str(socket): probes.gateway_answers(socket),
        f"127.0.0.1:{found.gateway_port}": probes.http_answers(found.gateway_port, commands.GATEWAY_PATH),
    }
    away = [door for door, is_answering in doors.items() if not is_answering]
    mend = f"it is started anew by itself; {home / 'logs' / 'gateway.log'} says why it ends"
    return Finding(
        "gateway", not away, f"{'no answer' if away else 'answers'} at {' and '.join(away or doors)}", mend
    )


def _others(environ: Mapping[str, str]) -> Finding:
    """Servers that the environment names for other programs."""
    names = others(environ)
    if not names:
        return Finding("other programs", ok=None, text="no servers of theirs are set", mend="nothing to do")
    text = f"{' and '.join(names)} left alone"
    return Finding(
        "other programs", ok=None, text=text, mend="to use one, name it as EGG_DATABASE_URL or EGG_REDIS_URL"
    )


def _environment() -> Finding:
    """Whether what agents install can change egg."""
    if agent_tools.is_separate():
        return Finding("installation", ok=True, text=f"an environment of its own, {sys.prefix}")
    mend = "install it in an environment of its own, as `pipx install egg-tasks` does"
    text = f"in {sys.prefix}, where agents' `pip install` could change it"
    return Finding("installation", ok=None, text=text, mend=mend)


def _agents_path(home: Path, environ: Mapping[str, str]) -> Finding:
    """Where agents and checks find programs, behind their `egg`."""
    try:
        taken = _taken(home, environ)
    except EggError as error:
        text, _, mend = str(error).rpartition(": ")
        return Finding("agents' PATH", ok=False, text=text, mend=mend)
    return Finding("agents' PATH", ok=True, text=f"{once(taken[frozen.PATH])} (from {taken[frozen.ORIGIN]})")


def once(path: str) -> str:
    """A PATH with each of its directories once: what comes later is never looked into."""
    return os.pathsep.join(dict.fromkeys(path.split(os.pathsep)))


def _taken(home: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """What the stack that runs was started with, else what one would be that is started now."""
    running = lifecycle.find(home)
    return running.frozen if running and running.frozen else frozen.of(home, environ)


def _agent_program(name: str, home: Path, environ: Mapping[str, str]) -> Finding:
    """An agent program, looked for where agents will find it."""
    mend = f"only agents of the {name} backend need it"
    try:
        path = _taken(home, environ)[frozen.PATH]
    except EggError:
        return Finding(name, ok=None, text="not looked for", mend=mend)
    program = shutil.which(name, path=path)
    if program is None:
        elsewhere = shutil.which(name, path=environ.get("PATH"))
        if elsewhere is None:
            return Finding(name, ok=None, text="not installed", mend=mend)
        text = f"{elsewhere} is not on the agents' PATH"
        mend += f": `egg down` and `egg up` in this shell, or `[agents] path` in {home / settings_file.NAME}"
        return Finding(name, ok=None, text=text, mend=mend)
    version = _said(program, "--version", path=path)
    return Finding(name, True if version else None, f"{version or 'does not run'} ({program})", mend)


def _said(*command: str, path: str | None = None) -> str | None:
    """The first line a program says, with PATH *path*; None when it is not there or fails."""
    try:
        done = subprocess.run(
            command if path is None else ("env", f"PATH={path}", *command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().partition("\n")[0] or None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
