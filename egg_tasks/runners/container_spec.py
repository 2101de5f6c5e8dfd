"""What the engine is told to make of a run: every wall of its container, in the engine's own words.

Pure: the same launch gives the same container. No secret is in it, since the engine shows it to whoever asks.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from models.errors import Unprocessable
from models.schemas.run import Container, container_name

WORK, GIVEN, OWN, HOME = Path("/work"), Path("/run/egg"), Path("/run/egg-shim"), Path("/home/agent")
CHECK, TOOLS, LIBRARY, GATEWAY = (
    Path("/check"),
    Path("/opt/egg/bin"),
    Path("/opt/egg/lib"),
    Path("/run/egg-gateway"),
)
"""Where things are in every container."""
SHIM = LIBRARY / "egg_tasks/runners/container_shim.py"
PORT = 8700
API_URL = f"http://127.0.0.1:{PORT}"

RUN, INSTALLATION = "egg.agent.run", "egg.home"
MOST_FILES = 1 << 14
SMALLEST_ROOM = 64 << 20
LOG = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}
"""What the engine keeps is said by the shim alone, when it fails; the agent's output is in a file of ours."""


@dataclass(frozen=True)
class Mount:
    """Something of this machine's that a container has."""

    source: Path
    target: Path
    is_writable: bool = False

    def told(self) -> dict[str, object]:
        """As the engine wants it: what is not there is an error, and not made."""
        return {
            "Type": "bind",
            "Source": str(self.source),
            "Target": str(self.target),
            "ReadOnly": not self.is_writable,
            "BindOptions": {"Propagation": "rprivate"},
        }


@dataclass(frozen=True)
class User:
    """Who an agent is in its container, and how that is said."""

    inside: str
    """`uid:gid` as the container counts."""
    outside: int
    """The user that owns what it may write, as this machine counts."""


def user(uid: int, *, is_rootless: bool, is_remapped: bool) -> User:
    """Who agents are in an engine of this kind; `Unprocessable` where nobody could read what they write."""
    if is_remapped:
        raise Unprocessable(
            "the container engine gives containers other users (userns-remap), so that nobody could read"
            " what agents write: start it without, or with an engine of the user's own (rootless)"
        )
    if is_rootless:
        return User(inside="0:0", outside=os.geteuid())
    return User(inside=f"{uid}:{uid}", outside=uid)


def name(run_id: UUID) -> str:
    """The one name a run's container can have."""
    return container_name(run_id)


def config(
    container: Container, *, user: User, directory: Path, mounts: Sequence[Mount], labels: Mapping[str, str]
) -> dict[str, object]:
    """The body of the engine's `POST /containers/create`."""
    return {
        "Image": container.image,
        "Entrypoint": ["python3", "-I", "-S", str(SHIM)],
        "Cmd": [],
        "User": user.inside,
        "WorkingDir": str(directory),
        "OpenStdin": True,
        "StdinOnce": True,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "Labels": dict(labels),
        "HostConfig": _walls(container, mounts),
    }


def _walls(container: Container, mounts: Sequence[Mount]) -> dict[str, object]:
    room = max(SMALLEST_ROOM, container.memory // 2)
    return {
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        # The default profile of seccomp is what there is when nothing is said of it.
        "SecurityOpt": ["no-new-privileges:true", "label=disable"],
        "Privileged": False,
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={room}"},  # noqa: S108  the container's own
        "IpcMode": "private",
        "PidsLimit": container.pids,
        "Memory": container.memory,
        "MemorySwap": container.memory,
        "NanoCpus": round(container.cpus * 1e9),
        "Ulimits": [
            {"Name": "nofile", "Soft": MOST_FILES, "Hard": MOST_FILES},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Mounts": [mount.told() for mount in mounts],
        "RestartPolicy": {"Name": "no"},
        "LogConfig": LOG,
        **({"Runtime": container.runtime} if container.runtime else {}),
    }
