"""The files of a run, as the orchestrator writes and reads them; the other half is shim.py.

*given* is the directory its agent is given, *own* the one that is ours, as `run_places` has it.
"""

import json
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from egg_tasks import removal, run_places, worktrees
from egg_tasks.foreign_files import (
    LARGEST_OUTCOME,
    LARGEST_SPEC,
    LARGEST_TOLD,
    is_directory,
    is_there,
    make_directory,
    open_plain,
    read_plain,
    write_plain,
)
from egg_tasks.run_places import SPEC
from egg_tasks.runners import liveness, remains, room
from egg_tasks.runners.remains import MARK, Traces, brand
from models.errors import Unavailable
from models.schemas.run import Exit, Launch, Wake

CONTAINER_LAYOUT, LAYOUT, SHARED_LAYOUT = 3, 2, 1
"""Which files a run has, where, and what they mean; spec.json says it. Those of 0 have no number.

Every change of them gets the next number, and the runs of the layouts before it are still attended: up to
the last of these, all lies in the directory that the agent is given. The first is that of runs in containers
(`container_files`), and none of a process.
"""
NEWEST = CONTAINER_LAYOUT

CLEARING_SECONDS = 10.0
PROFILE = ".profile"
GREETING = "# Written by egg: the PATH of agents, for login shells.\n"


def write(given: Path, launch: Launch) -> Mapping[str, object]:
    """Lay out what the shim needs, each file whole or not at all. The token is in its own file alone.

    What is in spec.json, for the shim, which does not read it.
    """
    own = run_places.ours(given)
    for directory in (own.parent, own, given):
        make_directory(directory)
        # The clone may have been made first, with the directories above it as the umask has it.
        directory.chmod(0o700)
    layout = LAYOUT if own != given else SHARED_LAYOUT
    spec = {
        "layout": layout,
        "argv": launch.argv,
        "environment": _places(given, launch) | launch.environment,
        "directory": str(launch.directory),
        "prompt_file": str(given / run_places.PROMPT),
        "wake": launch.wake,
        "inode": own.stat().st_ino,
        "brand": brand(launch.run_id),
    }
    write_plain(given, run_places.PROMPT, launch.prompt)
    if own != given:
        # For a release before this one, which looks for it here: it then leaves the run alone.
        write_plain(given, SPEC, json.dumps({"layout": layout}))
    if launch.token is None:
        (own / "token").unlink(missing_ok=True)
    else:
        write_plain(own, "token", launch.token)
    written = json.dumps(spec)
    write_plain(own, SPEC, written)
    return dict(json.loads(written))


def find_layout(own: Path) -> int:
    """The layout of a run that was laid out, as far as its spec.json can be read; else ours."""
    if not run_places.is_ours_alone(own):
        # An agent has had this in its hands, and no later layout lies here.
        return SHARED_LAYOUT
    layout = _spec(own).get("layout", 0 if is_there(own, SPEC) else LAYOUT)
    return layout if isinstance(layout, int) else LAYOUT


def is_copy(own: Path) -> bool:
    """Whether this is not the directory that was laid out, which keeps its inode where its home is moved.

    It is said only by what no agent can write, and nothing is known of earlier layouts.
    """
    inode = own.stat().st_ino if is_directory(own) else None
    return run_places.is_ours_alone(own) and _spec(own).get("inode", inode) != inode


def has_started(own: Path) -> bool:
    """Whether a shim has taken the run's once-only mark."""
    return is_there(own, "started")


def request_stop(own: Path) -> None:
    """Leave word that the run is to end; before it starts, this keeps it from starting."""
    if not is_there(own, "stop"):
        make_directory(own)
        write_plain(own, "stop", "")


def was_told(own: Path, text: str) -> bool:
    """Whether this is what the agent was told last."""
    return read_plain(own, "signal.told", limit=LARGEST_TOLD) == text.encode()


def tell(given: Path, own: Path, text: str, *, wake: Callable[[], object], owner: int = -1) -> None:
    """Put what an agent is told where it looks for it, as a file of ours or of *owner*'s, and *wake* it.

    What it is not remembered to have been told is told again; `Unavailable` where it cannot be put there.
    """
    try:
        write_plain(given, run_places.SIGNAL, text, owner=owner)
        if _spec(own).get("wake") == Wake.USR1:
            wake()
        write_plain(own, "signal.told", text)
    except OSError as error:
        raise Unavailable(
            f"cannot tell agent run {given.name} anything in {given}: {error.strerror or error}; "
            "it is tried again"
        ) from error


def read_log(own: Path, *, offset: int, limit: int) -> bytes:
    """Up to *limit* bytes of the run's output from byte *offset*; empty at the end."""
    log = open_plain(own, run_places.LOG)
    if log is None:
        return b""
    with log:
        try:
            # Not sought: no file system has room for every offset that may be asked for.
            return os.pread(log.fileno(), limit, offset)
        except OSError:
            return b""


def find_exit(own: Path) -> Exit | None:
    """How the run ended, or None while its shim lives.

    What a run left behind that its shim did not end is ended here, so that an end is an end.
    """
    if not has_started(own):
        return Exit(stopped=is_there(own, "stop"))
    # What runs in the directory that this one was copied from is not ours to wait for, or to end.
    is_copied = is_copy(own)
    if not is_copied and liveness.is_held(own):
        return None
    # Looked at after the lock: nobody can write it any more.
    found = _outcome(own)
    if not is_copied:
        if found is None or not found.is_swept:
            agent = liveness.Identity.read(own, "agent.pid") if run_places.is_ours_alone(own) else None
            remains.kill(Traces(UUID(own.name), agent))
        _clear_room(own)
    return found or Exit(stopped=is_there(own, "stop"))


def _outcome(own: Path) -> Exit | None:
    """What the shim wrote last, or None where that cannot be read, which is as good as nothing."""
    try:
        return Exit.model_validate_json(read_plain(own, "outcome.json", limit=LARGEST_OUTCOME) or b"")
    except ValueError:
        return None


def _spec(own: Path) -> dict[str, object]:
    try:
        found: object = json.loads(read_plain(own, SPEC, limit=LARGEST_SPEC) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def clear(directory: Path) -> None:
    """Remove as much as can be, in a while, of what nobody of the run is left to need."""
    with suppress(OSError):
        if os.path.lexists(directory) and removal.put_away(directory.parent, directory.name):
            removal.empty(directory.parent, seconds=CLEARING_SECONDS)


def _clear_room(own: Path) -> None:
    """Remove the run's TMPDIR, unless its agent may have work in it: that goes with the clone, once saved."""
    directory = _spec(own).get("directory")
    if not worktrees.is_in(Path(directory) if isinstance(directory, str) else own, run_places.room(own)):
        clear(run_places.room(own))


def _places(given: Path, launch: Launch) -> dict[str, str]:
    """Make a run's HOME and TMPDIR, and return what its environment says unless its launch does."""
    own = run_places.room(given)
    room.prepare(own)
    home = launch.home or own / "home"
    for folder in (own, own / "tmp", home):
        make_directory(folder)
    if "PATH" in launch.environment:
        _greet_login_shells(home, launch.environment["PATH"])
    if launch.home is not None:
        home = room.shortened(given.parent.parent, home)
    return {"HOME": str(home), "TMPDIR": str(own / "tmp"), MARK: given.name}


def _greet_login_shells(home: Path, path: str) -> None:
    """Have login shells, whose system sets PATH anew, find what other programs of the agent find.

    A file that the agent has put there is its own.
    """
    if is_there(home, PROFILE) and not _is_ours(home):
        return
    # No program needs it to start.
    with suppress(OSError):
        write_plain(home, PROFILE, f"{GREETING}export PATH={shlex.quote(path)}\n")


def _is_ours(home: Path) -> bool:
    profile = open_plain(home, PROFILE)
    if profile is None:
        return False
    with profile:
        return profile.read(len(GREETING)) == GREETING.encode()
