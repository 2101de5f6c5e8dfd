"""Where the things of an agent run lie in EGG_HOME, said here and nowhere else.

    runs/RUN_ID     clone or checkout-…, prompt.md, signal: the agent's to read and write; `kept` afterwards
    shims/RUN_ID    spec.json, token, locks, marks, output and outcome: nothing the agent is given leads there
    roles/PIPELINE  of each role what its runs have as their HOME
    tmp/SHORT       its TMPDIR, and its HOME where it has no role: removed when it is over
    gateway         of the whole node: the socket that leads containers out, and nothing else

Its set-up has the same under an id of its own, but works in the run's clone and has its role's HOME.

Runs that a release before 0.2 laid out have everything in the former, and are attended there.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from egg_tasks.foreign_files import is_directory, is_there
from models.schemas.layout import Inside, Layout

RUNS, SHIMS, ROLES = "runs", "shims", "roles"
CLONE, KEPT, KEPT_ROOM = "clone", "kept", "kept.tmp"
CHECKOUT = "checkout-"
PROMPT, SIGNAL = "prompt.md", "signal"
SPEC, LOG = "spec.json", "output.log"
GATEWAY_SOCKET = "gateway.sock"
RUN_IDS = "*-*-*-*-*"
SOCKET_BYTES = 107
"""What sockaddr_un holds, less the closing zero."""
ROOM = 60
"""Bytes for what comes behind TMPDIR: test runners put directories of their own there first."""
SHORTEST = Path("/tmp")  # noqa: S108  our directory there is closed, and its owner is checked


def given(home: Path, run_id: UUID) -> Path:
    """The directory that a run's agent is given, made or not."""
    return home / RUNS / str(run_id)


def set_up_of(run_id: UUID) -> UUID:
    """By what a runner knows the set-up of a run, as if it were a run; of a set-up, its run."""
    return UUID(int=run_id.int ^ 1)


def clone(home: Path, run_id: UUID) -> Path:
    """Where the clone of a role's run is, until it is put aside."""
    return given(home, run_id) / CLONE


def home_of(home: Path, pipeline_id: str, role: str) -> Path:
    """What all runs of a role have as their HOME."""
    return home / ROLES / pipeline_id / role / "home"


def gateway_of(home: Path) -> Path:
    """The directory with the gateway's socket, which is mounted into containers."""
    return home / "gateway"


def layout(given: Path, *, directory: Path | None, tools: Path) -> Layout:
    """Everything of the run whose agent is given *given*, where it sees the same paths as we do."""
    own, clone = ours(given), given / CLONE
    inside = Inside(directory or clone, prompt=given / PROMPT, signal=given / SIGNAL, tools=tools)
    return Layout(given, own, clone, temporary=room(given), log=own / LOG, inside=inside)


def ours(given: Path) -> Path:
    """The directory that is ours of the run whose agent is given *given*, made or not."""
    own = given.parent.with_name(SHIMS) / given.name
    # Ours is made first, so that nothing an agent leaves can pass for a run of an earlier release.
    return given if not is_directory(own) and is_there(given, SPEC) else own


def is_ours_alone(own: Path) -> bool:
    """Whether what lies in a run's directory was written by us and its shim, and by no agent."""
    return own.parent.name == SHIMS


def all_ours(runs: Path) -> Sequence[Path]:
    """The directories that are ours of all runs that were laid out; what agents are given is in *runs*."""
    known = {path.name for folder in (runs, runs.with_name(SHIMS)) for path in folder.glob(RUN_IDS)}
    found = [ours(runs / name) for name in sorted(known)]
    return [path for path in found if is_there(path, SPEC)]


def room(given: Path) -> Path:
    """The run's short directory, with its TMPDIR: room for sockets in it, wherever EGG_HOME is. Not made."""
    return short(given.parent.parent, given.name.replace("-", "")[-12:])


def rooms(home: Path) -> Path:
    """Where the short directories of runs are: in EGG_HOME, or in /tmp where that is too long."""
    return room(given(home, UUID(int=0))).parent


def short(home: Path, name: str) -> Path:
    """A path that leaves programs room for sockets, in EGG_HOME or else in a directory of ours in /tmp."""
    near = home / "tmp" / name
    return near if has_room(near, ROOM) else SHORTEST / f"egg-{os.geteuid()}" / name


def has_room(path: Path, room: int) -> bool:
    """Whether a socket whose name has so many bytes can be made below a path."""
    return len(os.fsencode(path)) + room <= SOCKET_BYTES
