"""The files of a run's directory, as the orchestrator writes and reads them; the other half is shim.py."""

import json
import os
import tempfile
from pathlib import Path

from egg_tasks.runners import liveness
from models.schemas.run import Exit, Launch


def write(directory: Path, launch: Launch) -> None:
    """Lay out what the shim needs, each file whole or not at all. The token is in its own file alone."""
    for folder in (directory, directory / "home", directory / "tmp"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The clone may have been made first, with the directories above it as the umask has it.
    directory.chmod(0o700)
    spec = {
        "argv": launch.argv,
        "environment": _own(directory) | launch.environment,
        "directory": str(launch.directory),
        "prompt_file": str(directory / "prompt.md"),
    }
    _replace(directory / "prompt.md", launch.prompt)
    if launch.token is None:
        (directory / "token").unlink(missing_ok=True)
    else:
        _replace(directory / "token", launch.token)
    _replace(directory / "spec.json", json.dumps(spec))


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
        return Exit.model_validate_json((directory / "outcome.json").read_bytes())
    except (FileNotFoundError, ValueError):
        # The directory is the agent's to write in: an outcome that cannot be read is as good as none.
        liveness.kill_remains(directory, _marks(directory))
        return Exit(stopped=(directory / "stop").exists())


def _own(directory: Path) -> dict[str, str]:
    """What a run's environment says unless its launch says otherwise."""
    return {"HOME": str(directory / "home"), "TMPDIR": str(directory / "tmp")}


def _marks(directory: Path) -> frozenset[bytes]:
    """What the environment of this run's processes holds, and nobody else's."""
    own = {**_own(directory), "EGG_AGENT_RUN_ID": directory.name}
    return frozenset(os.fsencode(f"{name}={value}") for name, value in own.items())


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
