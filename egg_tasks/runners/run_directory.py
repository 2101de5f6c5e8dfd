"""The files of a run's directory, as the orchestrator writes and reads them; the other half is shim.py."""

import json
import os
import shlex
import shutil
import stat
import tempfile
from pathlib import Path

from egg_tasks.runners import liveness, plain, room
from models.schemas.run import Exit, Launch

LAYOUT = 1
"""Which files a run's directory holds and what they mean; spec.json says it. Those of 0 have no number.

Every change of them gets the next number, and the runs of the layout before it are still attended.
"""

LONGEST_SPEC = 1 << 20
MARK = "EGG_AGENT_RUN_ID"
"""The variable that tells a run's processes from everybody else's."""

GREETING = "# Written by egg: the PATH of agents, for login shells.\n"


def write(directory: Path, launch: Launch) -> None:
    """Lay out what the shim needs, each file whole or not at all. The token is in its own file alone."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The clone may have been made first, with the directories above it as the umask has it.
    directory.chmod(0o700)
    spec = {
        "layout": LAYOUT,
        "argv": launch.argv,
        "environment": _places(directory, launch) | launch.environment,
        "directory": str(launch.directory),
        "prompt_file": str(directory / "prompt.md"),
    }
    _replace(directory / "prompt.md", launch.prompt)
    if launch.token is None:
        (directory / "token").unlink(missing_ok=True)
    else:
        _replace(directory / "token", launch.token)
    _replace(directory / "spec.json", json.dumps(spec))


def find_layout(directory: Path) -> int:
    """The layout of a run that was laid out, as far as its spec.json can be read; else ours."""
    try:
        with plain.opened(directory / "spec.json", longest=LONGEST_SPEC) as spec:
            found: object = json.loads(spec.read())
    except (OSError, ValueError, RecursionError):
        return LAYOUT
    layout = found.get("layout", 0) if isinstance(found, dict) else LAYOUT
    return layout if isinstance(layout, int) else LAYOUT


def request_stop(directory: Path) -> None:
    """Leave word that the run is to end; before it starts, this keeps it from starting."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "stop").touch(mode=0o600)


def leave_signal(directory: Path, text: str) -> None:
    """Put what the agent is told where it looks for it."""
    _replace(directory / "signal", text)


def note_told(directory: Path, text: str) -> None:
    """Remember that the agent was woken for this text; one that was not yet is woken again."""
    _replace(directory / "signal.told", text)


def was_told(directory: Path, text: str) -> bool:
    """Whether this is what the agent was woken for last."""
    try:
        return (directory / "signal.told").read_bytes() == text.encode()
    except OSError:
        return False


def find_exit(directory: Path) -> Exit | None:
    """How the run ended, or None while its shim lives.

    What a run left behind whose shim was killed is killed here, so that an end is an end.
    """
    if not (directory / "started").exists():
        return Exit(stopped=(directory / "stop").exists())
    if liveness.is_held(directory):
        return None
    # Looked at after the lock: nobody can write it any more.
    try:
        found = Exit.model_validate_json((directory / "outcome.json").read_bytes())
    except (FileNotFoundError, ValueError):
        # The directory is the agent's to write in: an outcome that cannot be read is as good as none.
        liveness.kill_remains(directory, _mark(directory))
        found = Exit(stopped=(directory / "stop").exists())
    # Nobody of the run is left who could need it; as much as can be removed.
    shutil.rmtree(room.of_run(directory), ignore_errors=True)
    return found


def _places(directory: Path, launch: Launch) -> dict[str, str]:
    """Make a run's HOME and TMPDIR, and return what its environment says unless its launch does."""
    own = room.of_run(directory)
    room.prepare(own)
    home = launch.home or own / "home"
    for folder in (own, own / "tmp", home):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if launch.home is not None:
        home = room.shortened(directory.parent.parent, home)
    if "PATH" in launch.environment:
        _greet_login_shells(home, launch.environment["PATH"])
    return {"HOME": str(home), "TMPDIR": str(own / "tmp"), MARK: directory.name}


def _greet_login_shells(home: Path, path: str) -> None:
    """Have login shells, whose system sets PATH anew, find what other programs of the agent find.

    A file that the agent has put there is its own.
    """
    profile = home / ".profile"
    try:
        if not profile.is_symlink() and (not profile.exists() or _is_ours(profile)):
            _replace(profile, f"{GREETING}export PATH={shlex.quote(path)}\n")
    except OSError:
        # No program needs it to start.
        return


def _is_ours(profile: Path) -> bool:
    descriptor = os.open(profile, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return is_plain and os.read(descriptor, len(GREETING)) == GREETING.encode()
    finally:
        os.close(descriptor)


def _mark(directory: Path) -> frozenset[bytes]:
    """What the environment of this run's processes holds, and nobody else's: a role's runs share a HOME."""
    return frozenset({os.fsencode(f"{MARK}={directory.name}")})


def _replace(path: Path, text: str) -> None:
    """Write a 0600 file whole or not at all, on a disk that may be full."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink()
        raise
