"""What is others': files and sockets of this machine, of other agents, and what is mounted to be read."""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from tests.hostile_container.attempt import MACHINES, SHARED, Facts, Refused, attempt

SECONDS = 2.0


def read(path: str) -> str:
    """The beginning of a file."""
    return f"read {Path(path).read_text()[:40]!r}"


def written(path: Path) -> str:
    """Make a file and take it away again."""
    path.write_text("hostile")
    path.unlink()
    return f"wrote {path}"


def opened(path: str) -> str:
    """Open a file for writing, and write nothing."""
    os.close(os.open(path, os.O_WRONLY))
    return f"may write {path}"


def spoken(path: str, said: bytes) -> str:
    """What a server at a socket answers."""
    with socket.socket(socket.AF_UNIX) as way:
        way.settimeout(SECONDS)
        way.connect(path)
        # Who says something and hangs up is not spoken to.
        if said:
            way.sendall(said)
        return f"answered {way.recv(60)[:24]!r}"


@attempt("another agent's clone, to read", wall="mounts", process=SHARED)
def others_clone(facts: Facts) -> str:
    return read(f"{facts['others_clone']}/work.txt")


@attempt("another agent's clone, to write", wall="mounts", process=SHARED)
def others_clone_to_write(facts: Facts) -> str:
    return written(Path(facts["others_clone"]) / "hostile")


@attempt("another role's HOME", wall="mounts", process=SHARED)
def others_home(facts: Facts) -> str:
    return read(f"{facts['others_home']}/.netrc")


@attempt("what another agent is told: its prompt", wall="mounts", process=SHARED)
def others_prompt(facts: Facts) -> str:
    return read(facts["others_prompt"])


@attempt("a socket that another agent's program listens at", wall="mounts", process=SHARED)
def others_socket(facts: Facts) -> str:
    return spoken(facts["others_socket"], b"")


@attempt("the engine's socket", wall="machine", process=SHARED)
def engine_socket(facts: Facts) -> str:
    return spoken(facts["engine_socket"], b"GET /_ping HTTP/1.0\r\n\r\n")


@attempt("the database's socket", wall="machine", process=SHARED)
def database_socket(facts: Facts) -> str:
    return spoken(facts["database_socket"], struct.pack("!2I", 8, 80877103))


@attempt("the broker's socket", wall="machine", process=SHARED)
def broker_socket(facts: Facts) -> str:
    return spoken(facts["broker_socket"], b"PING\r\n")


@attempt("the operator's token: stack.json", wall="machine", process=SHARED)
def operators_token(facts: Facts) -> str:
    return read(facts["stack"])


@attempt("keys that are other agents': the directory of secrets", wall="machine", process=SHARED)
def secrets_directory(facts: Facts) -> str:
    return read(facts["secret"])


@attempt(
    "the configuration of the pipeline's repository, with the way to its source",
    wall="machine",
    process=SHARED,
)
def repository_config(facts: Facts) -> str:
    return read(f"{facts['repository']}/config")


@attempt("hooks of the pipeline's repository, which our git might run", wall="machine", process=SHARED)
def repository_hooks(facts: Facts) -> str:
    place = Path(facts["repository"]) / "hooks"
    place.mkdir(exist_ok=True)
    return written(place / "pre-receive")


@attempt("a file of the person's", wall="machine", process=SHARED)
def persons_file(facts: Facts) -> str:
    return read(facts["persons_file"])


@attempt("what egg keeps of its own run: token, end, output", wall="machine", process=SHARED)
def own_shims_directory(facts: Facts) -> str:
    return f"found {sorted(os.listdir(facts['shims_directory']))[:3]}"


@attempt("the egg of all agents: another program in its place", wall="readable", process=SHARED)
def poisoned_egg(facts: Facts) -> str:
    return opened(f"{facts['tools']}/.egg.py" if "tools" in facts else "/opt/egg/bin/.egg.py")


@attempt("the shim of all agents: another program in its place", wall="readable", process=SHARED)
def poisoned_shim(facts: Facts) -> str:
    return opened(f"{facts.get('library', '/opt/egg/lib')}/egg_tasks/runners/shim.py")


@attempt("a gateway of its own, where all containers look for one", wall="readable", process=SHARED)
def another_gateway(facts: Facts) -> str:
    place = Path(facts.get("gateway", "/run/egg-gateway"))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place / "hostile.sock"))
    (place / "hostile.sock").unlink()
    return f"listened in {place}"


@attempt("the gateway's socket taken away", wall="readable", process=SHARED)
def gateway_removed(facts: Facts) -> str:
    place = Path(facts.get("gateway", "/run/egg-gateway"))
    (place / "gateway.sock").rename(place / "aside")
    (place / "aside").rename(place / "gateway.sock")
    return "renamed it and back"


@attempt("a branch of the pipeline's repository moved by hand", wall="readable", process=SHARED)
def moved_branch(facts: Facts) -> str:
    return written(Path(facts["repository"]) / "refs/heads/hostile")


@attempt("an object of the pipeline's repository, which others borrow", wall="readable", process=SHARED)
def changed_object(facts: Facts) -> str:
    places = Path(facts["repository"]).glob("objects/??/*")
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise Refused("it sees none")
    found.rename(found.with_name("aside"))
    found.with_name("aside").rename(found)
    return "renamed it and back"


@attempt("what its commits share with the repository, by way of the clone", wall="clone", process=SHARED)
def shared_objects(facts: Facts) -> str:
    inodes = {place.stat().st_ino for place in Path(facts["repository"]).glob("objects/??/*")}
    shared = [place for place in Path(".git/objects").glob("??/*") if place.stat().st_ino in inodes]
    for place in shared:
        place.chmod(0o600)
        return f"may write {place}, which is the repository's too"
    raise Refused("it shares no file")


@attempt("programs in the image, changed for later", wall="image", process=MACHINES)
def image_changed(_facts: Facts) -> str:
    return written(Path("/var/tmp/hostile"))


@attempt(
    "a directory of another mount, opened by its handle and not by its name", wall="root", process=MACHINES
)
def opened_by_handle(facts: Facts) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = ctypes.create_string_buffer(bytes.fromhex(facts["handle"]))
    mount = os.open(".", os.O_RDONLY)
    found = libc.open_by_handle_at(mount, handle, os.O_RDONLY)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return f"read {os.read(found, 40).decode()!r}"


@attempt("a file that we could not remove (immutable)", wall="root", process=MACHINES)
def immutable_file(_facts: Facts) -> str:
    with Path("stuck").open("w") as file:
        flags = bytearray(8)
        fcntl.ioctl(file, 0x80086601, flags)
        kept, flags[0] = bytes(flags), flags[0] | 0x10
        fcntl.ioctl(file, 0x40086602, bytes(flags))
        fcntl.ioctl(file, 0x40086602, kept)
    return "set the flag, and took it away again"


@attempt("a file given to root, with its bit set", wall="root", process=MACHINES)
def roots_program(_facts: Facts) -> str:
    place = Path("roots")
    place.touch()
    if os.geteuid() == 0:
        os.chown(place, 1, 1)
    os.chown(place, 0, 0)
    place.chmod(0o4755)
    return "it is root's, and runs as root for whoever starts it"


@attempt("a file of the machine, under another name as well", wall="machine", process=SHARED)
def hard_link(facts: Facts) -> str:
    name = Path(facts["secret"]).with_name("hostile")
    os.link(facts["secret"], name)
    name.unlink()
    return "it has one more name"


@attempt("a link where its clone was, for us to follow", wall="readable", process=SHARED)
def clone_link(facts: Facts) -> str:
    clone = Path(facts.get("given", "/run/egg")) / "clone"
    clone.rename(clone.with_name("aside"))
    clone.symlink_to("/etc")
    clone.unlink()
    clone.with_name("aside").rename(clone)
    return "a link was there"


@attempt("other words in what it was given to read", wall="readable", process=SHARED)
def given_changed(facts: Facts) -> str:
    place = Path(facts.get("given", "/run/egg"))
    return written(place / "spec.json.hostile")
