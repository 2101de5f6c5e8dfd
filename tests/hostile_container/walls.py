"""The walls, each with its control: the very same container but for what is changed here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egg_tasks.runners import container_spec
from egg_tasks.runners.container_spec import Mount
from models.schemas.run import Container

MEGABYTE = 1 << 20
BOX = {"memory": 128 * MEGABYTE, "cpus": 2.0, "pids": 40, "disk": 512 * MEGABYTE}
"""What the containers of the list may take: little, so that little is enough to try for more."""


@dataclass(frozen=True)
class Wall:
    """What holds some attempts, and the container in which it does not."""

    says: str
    control: str
    change: Callable[[dict[str, Any], "Ground"], None] | None = None
    """How the control's container differs; None where it does not differ, or there is none."""
    as_root: bool = False
    without: tuple[str, str] | None = None
    """A file of the library, and the line of it that the control has not."""


@dataclass(frozen=True)
class Ground:
    """What controls are made with."""

    town: str
    """The neighbour's container."""
    others: tuple[Path, ...]
    """What is other agents', and theirs to read."""
    machine: tuple[Path, ...]
    """What is root's."""
    word: str
    """A key that is none of the agent's."""


def container(image: str) -> Container:
    """What all containers of the list are made from."""
    return Container.model_validate({"image": image, **BOX})


def host(**changes: object) -> Callable[[dict[str, Any], Ground], None]:
    """Change these lines of what the engine is told."""

    def change(config: dict[str, Any], _ground: Ground) -> None:
        config["HostConfig"].update(changes)

    return change


def mount(config: dict[str, Any], paths: tuple[Path, ...]) -> None:
    """Add these as they are."""
    config["HostConfig"]["Mounts"] += [Mount(path, path, is_writable=True).told() for path in paths]


def machines(config: dict[str, Any], ground: Ground) -> None:
    """Be the root that all files are open to, and have them."""
    mount(config, ground.machine)
    config["HostConfig"].update(CapAdd=["DAC_OVERRIDE"])


def writable(config: dict[str, Any], _ground: Ground) -> None:
    """Have nothing mounted to be read alone."""
    for each in config["HostConfig"]["Mounts"]:
        each["ReadOnly"] = False


CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
)  # fmt: skip
"""By their numbers, as far as old engines know them."""


def privileged(config: dict[str, Any], _ground: Ground) -> None:
    """Have all that the engine can give: `Privileged`, where this machine has all capabilities itself."""
    status = Path("/proc/self/status").read_text().split()
    ours = int(status[status.index("CapBnd:") + 1], 16)
    disk = next(each.name for each in Path("/sys/class/block").iterdir() if Path("/dev", each.name).exists())
    config["HostConfig"].update(
        CapAdd=[name for number, name in enumerate(CAPABILITIES) if ours >> number & 1],
        CapDrop=[],
        SecurityOpt=["seccomp=unconfined", "apparmor=unconfined"],
        MaskedPaths=[],
        ReadonlyPaths=[],
        Devices=[{"PathOnHost": f"/dev/{disk}", "PathInContainer": f"/dev/{disk}", "CgroupPermissions": "r"}],
    )


def told(config: dict[str, Any], ground: Ground) -> None:
    """Give it keys as is often done: in its configuration, and in a file."""
    config["Env"] = [f"EGG_OPERATOR_TOKEN={ground.word}"]
    stack = next(path for path in ground.machine if path.name == "stack.json")
    config["HostConfig"]["Mounts"].append(Mount(stack, Path("/run/stack.json")).told())


def listable(config: dict[str, Any], _ground: Ground) -> None:
    """Open the directory in which the shim's has its name."""
    mounts = config["HostConfig"]["Mounts"]
    source = next(each["Source"] for each in mounts if each["Target"] == str(container_spec.OWN))
    Path(source).chmod(0o755)


def neighbours(kind: str) -> Callable[[dict[str, Any], Ground], None]:
    """Share a namespace with the neighbour."""

    def change(config: dict[str, Any], ground: Ground) -> None:
        config["HostConfig"][kind] = f"container:{ground.town}"

    return change


LARGE = 1024 * MEGABYTE
DUMPABLE = ("egg_tasks/runners/container_shim.py", "    shim.libc.prctl(shim.PR_SET_DUMPABLE, 0)\n")
UNFILTERED = ("egg_tasks/runners/container_shim.py", "    call_filter.install(shim.libc)\n")
LIMITED = ("egg_tasks/runners/shim.py", "LOG_LIMIT, TAIL, CHUNK, RESERVED = 16 << 20,")
WALLS: Mapping[str, Wall] = {
    "network": Wall(
        "no network at all", "shares the network of a neighbour, in which every address answers",
        neighbours("NetworkMode"),
    ),
    "loopback": Wall("a loopback of its own", "has the machine's network", host(NetworkMode="host")),
    "mounts": Wall(
        "nothing of others is there", "has others' files mounted", lambda it, ground: mount(it, ground.others)
    ),
    "machine": Wall(
        "nothing of the machine is there, and it is not root",
        "has the machine's files mounted, and is root",
        machines, as_root=True,
    ),
    "readable": Wall(
        "what is there of ours is to be read alone, and is root's", "may write its mounts, and is root",
        writable, as_root=True,
    ),
    "clone": Wall(
        "a clone borrows objects and shares no file", "has a clone that shares files, and is root",
        as_root=True,
    ),
    "image": Wall("the image is to be read alone", "may write it", host(ReadonlyRootfs=False)),
    "root": Wall(
        "no capability, the default profile of calls, and another user than root",
        "is root, with all capabilities", privileged, as_root=True,
    ),
    "calls": Wall(
        "the engine's default profile of calls", "may call what it likes",
        host(SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]),
    ),
    "filter": Wall(
        "the shim's own filter of calls", "has a shim without that filter", without=UNFILTERED
    ),
    "privileges": Wall(
        "no new privileges, and none to be had", "may gain privileges",
        host(SecurityOpt=[], CapDrop=[]), without=UNFILTERED,
    ),
    "ipc": Wall("shared memory of its own", "has the machine's", host(IpcMode="host")),
    "processes": Wall("it sees no processes but its own", "sees the machine's", host(PidMode="host")),
    "pids": Wall("`pids`", "has no such limit", host(PidsLimit=0)),
    "memory": Wall("`memory`", "has 1 GB", host(Memory=LARGE, MemorySwap=LARGE)),
    "tmp": Wall(
        "what is in memory has a size", "has 512 MB for it, and 1 GB of memory",
        host(Memory=LARGE, MemorySwap=LARGE, ShmSize=LARGE // 2,
             Tmpfs={"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={LARGE // 2}"}),
    ),
    "files": Wall("limits of each process", "has the engine's own", host(Ulimits=[])),
    "closed shim": Wall(
        "the shim cannot be looked into", "has a shim without `PR_SET_DUMPABLE`", without=DUMPABLE
    ),
    "closed box": Wall(
        "the shim works in a directory whose name is told to it alone", "may list where it is", listable
    ),
    "first process": Wall(
        "the shim is the first process, and the kernel keeps signals from it",
        "has a shim with another process before it", neighbours("PidMode"),
    ),
    "environment": Wall(
        "keys of ours go nowhere near it", "has them in its configuration, and a file; is root", told,
        as_root=True,
    ),
    "addresses": Wall(
        "what a name stands for is judged by the gateway, at the moment it connects",
        "has the very address on its list",
    ),
    "tokens": Wall("who asks is known by the token, and may do what is its own", "was told the token for it"),
    "operator": Wall(
        "the operator's token is not there, and not taken by the gateway",
        "was told it, and has the machine's network", host(NetworkMode="host"),
    ),
    "log": Wall("the shim keeps 16 MB and the end", "has a shim without that limit", without=LIMITED),
    "kill": Wall("who does not stop is killed", "is asked to stop, and not killed"),
    "end": Wall("nobody outlives a container's first process", "is a program without container and shim"),
    "word": Wall("whether a run was stopped we know, and not its shim", "is believed what its shim says"),
    "removal": Wall("what is left is removed at any depth", "is removed as Python does (`shutil.rmtree`)"),
    "told": Wall(
        "token and keys come by the shim's input, kept nowhere", "has them in its configuration", told
    ),
    "hidden": Wall("what is secret is hidden in what it writes", "has it as a plain variable"),
    "git": Wall("our git runs nothing of the agent's, and follows no link", "is looked at by plain git"),
    "given": Wall("what we write for it follows no link", "is written to by its path"),
}  # fmt: skip
"""By the names that attempts give them."""
