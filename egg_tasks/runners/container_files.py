"""The files of a run in a container, as the orchestrator has them; the other half is container_shim.py.

*given* is the directory its agent is given, *own* the one that is ours. In *own*/`box`, which the container
has too, is one directory under a name that only the shim is told: there the shim writes what it has to say.
Nobody else can find it, where we are root; else it is the agent's own user's, who may list it, and write
there: `end` says what is believed.
"""

import fcntl
import json
import marshal
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from egg_tasks import run_places
from egg_tasks.foreign_files import (
    ENTERING,
    LARGEST_OUTCOME,
    LARGEST_SPEC,
    is_there,
    make_directory,
    read_plain,
    write_plain,
)
from egg_tasks.run_places import SPEC
from egg_tasks.runners import container_spec
from egg_tasks.runners.container_shim import UNWELL
from egg_tasks.runners.remains import MARK, brand
from egg_tasks.runners.run_directory import CONTAINER_LAYOUT
from models.errors import Unavailable
from models.schemas.run import Exit, Launch

BOX, OUTCOME, STARTED, STOP = "box", "outcome.json", "started", "stop"
RETRY_SECONDS = 0.02
MARSHALLED = 2
"""What any Python reads that knows our code."""


def write(given: Path, own: Path, launch: Launch, *, owner: int, engine: str) -> Mapping[str, object]:
    """Lay a run out, as often as is wanted; what the shim is to be told, but for token and secrets.

    All that its agent may write is *owner*'s from then on; *engine* is the URL of where its container is.
    """
    for directory in (own, given, own / BOX):
        make_directory(directory)
    word = _word(own) or secrets.token_hex(16)
    make_directory(own / BOX / word)
    if not is_there(own / BOX / word, run_places.LOG):
        # Under a name of ours as well, which says the same before anything is there. Who died before the
        # word was written down has left another one's there.
        (own / run_places.LOG).unlink(missing_ok=True)
        write_plain(own / BOX / word, run_places.LOG, "", owner=owner)
        os.link(own / BOX / word / run_places.LOG, own / run_places.LOG, follow_symlinks=False)
    # Passed by who knows what is in it, and read by nobody else.
    (own / BOX).chmod(0o711)
    spec = {
        "layout": CONTAINER_LAYOUT,
        "argv": launch.argv,
        "environment": _environment(launch) | launch.environment,
        "directory": str(launch.directory),
        "prompt_file": str(container_spec.GIVEN / run_places.PROMPT),
        "wake": launch.wake,
        "brand": brand(launch.run_id),
        "word": word,
        "disk": launch.container.disk if launch.container else None,
        "own": str(container_spec.OWN / word),
    }
    write_plain(given, run_places.PROMPT, launch.prompt)
    # For a release that knows of no containers, which looks here or there and then leaves the run alone.
    write_plain(given, SPEC, json.dumps({"layout": CONTAINER_LAYOUT}))
    written = json.dumps(spec)
    # Where its HOME is on this machine is told to no container, but to whoever reads the agent's own files.
    home = [str(container_spec.HOME), str(launch.home or os.devnull)]
    works_in = str(launch.clone_of or launch.run_id)
    write_plain(own, SPEC, json.dumps({**spec, "home": home, "engine": engine, "works_in": works_in}))
    for directory in (given, own / BOX / word, *([launch.home] if launch.home else ())):
        make_directory(directory)
        hand_over(directory, owner)
    return dict(json.loads(written))


def fed(spec: Mapping[str, object], launch: Launch, relay: tuple[int, str] | None) -> bytes:
    """What a container's first process reads: the spec, and what is written nowhere."""
    token = {} if launch.token is None else {"EGG_SESSION_TOKEN": launch.token}
    environment = {**dict(spec["environment"]), **token}  # type: ignore[call-overload]
    told = {**spec, "environment": environment, "secrets": dict(launch.secrets), "relay": relay}
    return marshal.dumps(told, MARSHALLED)


def box(own: Path) -> Path:
    """Where the run's shim works, as we see it; nothing is there before it is laid out."""
    return own / BOX / (_word(own) or "none")


def has_started(own: Path) -> bool:
    """Whether the run has taken its once-only mark, and nobody is to start it again."""
    return is_there(own, STARTED) or is_there(box(own), STARTED)


def note_started(own: Path) -> None:
    """Remember so where no agent has its hands."""
    if not is_there(own, STARTED):
        write_plain(own, STARTED, "")


def request_stop(own: Path) -> None:
    """Leave word that the run is to end; before it starts, this keeps it from starting."""
    make_directory(own)
    for directory in (own, box(own)):
        if directory.is_dir() and not is_there(directory, STOP):
            write_plain(directory, STOP, "")


def find_end(own: Path) -> Exit | None:
    """How the run ended, once that was found out."""
    return _outcome(own)


def may_live(own: Path) -> bool:
    """Whether the run has been started, and nobody has found its end."""
    return has_started(own) and find_end(own) is None


def end(own: Path, *, status: int | None, is_out_of_memory: bool) -> Exit:
    """Find out how a run ended whose container is over, by *status*, if it is there; and keep it.

    What its shim says is believed where the shim came to its own end, and that it all went well only where
    the status says so too: what is in the box may be the agent's.
    """
    said = _outcome(box(own)) if status in {0, UNWELL} else None
    is_forged = said is not None and said.exit_code == 0 and status != 0
    found = said or Exit(is_out_of_memory=is_out_of_memory)
    if is_forged:
        found = found.model_copy(update={"exit_code": UNWELL})
    # Whether it was asked to end we know better than what an agent might say in the shim's name.
    return note_end(own, found.model_copy(update={"stopped": is_there(own, STOP)}))


def note_end(own: Path, ended: Exit) -> Exit:
    """Keep how a run ended, for good: who was first is right."""
    if (known := find_end(own)) is not None:
        return known
    write_plain(own, OUTCOME, ended.model_dump_json())
    note_started(own)
    return ended


def stopped_early(own: Path) -> Exit | None:
    """The end of a run that was stopped before it started, kept; None if it was not."""
    if not is_there(own, STOP):
        return None
    now = datetime.now(UTC)
    return note_end(own, Exit(signal=15, stopped=True, started_at=now, ended_at=now))


def disk_limit(own: Path) -> int | None:
    """How many bytes the run may take, as it was laid out."""
    found = spec_of(own).get("disk")
    return found if isinstance(found, int) else None


def works_in(own: Path) -> UUID | None:
    """The run in whose clone it works, which for a set-up is its run; None where that is not known."""
    found = spec_of(own).get("works_in")
    return UUID(found) if isinstance(found, str) else None


def engine_of(own: Path) -> str | None:
    """The URL of the engine in which the run's container is; None where it was not laid out."""
    found = spec_of(own).get("engine")
    return found if isinstance(found, str) else None


def installation(home: Path) -> str:
    """What tells the containers of this home from those of every other on the same engine."""
    return sha256(f"{home}\0{home.stat().st_ino}".encode()).hexdigest()[:16]


def is_ours(own: Path) -> bool:
    """Whether a run was laid out for a container."""
    return spec_of(own).get("layout") == CONTAINER_LAYOUT


def list_unended(runs: Path) -> Iterator[Path]:
    """What is ours of the runs in containers that have started, and whose end is not known."""
    for own in run_places.all_ours(runs):
        if is_ours(own) and has_started(own) and find_end(own) is None:
            yield own


def home_of(own: Path) -> Sequence[Path]:
    """Where the HOME of the run's role lies on this machine, if it has one."""
    found = spec_of(own).get("home")
    return [Path(str(found[1]))] if isinstance(found, list) and found[1] != os.devnull else []


def spec_of(own: Path) -> Mapping[str, object]:
    """What was laid out, or nothing where nothing was."""
    try:
        found: object = json.loads(read_plain(own, SPEC, limit=LARGEST_SPEC) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def alone(own: Path, *, seconds: float) -> Iterator[None]:
    """Have nobody else start the run meanwhile; `Unavailable` if somebody does for so long."""
    make_directory(own)
    descriptor = os.open(own, ENTERING | os.O_NOFOLLOW)
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"agent run {own.name} is being started by another worker, which does not get on; "
                        "it is tried again"
                    ) from None
                time.sleep(RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def hand_over(directory: Path, owner: int) -> None:
    """Give all in a directory to a user, where that is not us; what lies there under another name stays ours.

    Nothing there is followed, so that no link of an agent's leads to what is not its own.
    """
    if os.geteuid() == owner:
        return
    for _, folders, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_its_own = stat.S_ISDIR(found.st_mode) or found.st_nlink == 1
                if found.st_uid != owner and is_its_own:
                    os.chown(name, owner, owner, dir_fd=descriptor, follow_symlinks=False)
    os.chown(directory, owner, owner, follow_symlinks=False)


def _word(own: Path) -> str | None:
    found = spec_of(own).get("word")
    return found if isinstance(found, str) else None


def _outcome(directory: Path) -> Exit | None:
    try:
        return Exit.model_validate_json(read_plain(directory, OUTCOME, limit=LARGEST_OUTCOME) or b"")
    except ValueError:
        return None


def _environment(launch: Launch) -> dict[str, str]:
    """What a run finds unless its launch says otherwise."""
    home = str(container_spec.HOME) if launch.home else "/tmp/home"  # noqa: S108  the container's own
    return {
        "PATH": f"{container_spec.TOOLS}:",
        "HOME": home,
        "TMPDIR": "/tmp",  # noqa: S108
        MARK: str(launch.run_id),
        # For all of git's own processes, some of which are given no configuration by the environment.
        "GIT_CONFIG_SYSTEM": f"{container_spec.TOOLS}/.gitconfig",
    }
