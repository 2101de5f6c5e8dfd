"""Containers for the list: behind the walls, or with one taken away; and processes of one user."""

import base64
import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from egg_tasks import agent_tools, run_places
from egg_tasks.ports import Runner
from egg_tasks.runners import process
from egg_tasks.runners.container_spec import LIBRARY, User
from egg_tasks.runners.docker import AGENT_UID, DockerRunner
from egg_tasks.runners.process import ProcessRunner
from models.schemas.run import Container, Launch
from tests.engine import IMAGE, OwnEngine
from tests.hostile_container import town, walls
from tests.hostile_container.attempt import Attempt
from tests.hostile_container.walls import WALLS, Ground, Wall
from tests.integration.gateway_scene import free_port
from tests.integration.runner_scene import end

__all__ = ["free_port"]

HERE = Path(__file__).parent
ROOT = User("0:0", 0)
SECRET = "hostile-secret-of-this-agent"
PLACE = "hostile"


class Changed(DockerRunner):
    """Runs agents in containers that differ from ours in what one wall's control says."""

    def __init__(self, home: Path, own: OwnEngine, wall: Wall, ground: Ground) -> None:
        super().__init__(home, own.client)
        self._wall = wall
        self._ground = ground

    def _user(self) -> User:
        return ROOT if self._wall.as_root else super()._user()

    def _config(self, launch: Launch, container: Container, own: Path, user: User) -> dict[str, object]:
        config: dict[str, Any] = super()._config(launch, container, own, user)
        if self._wall.change is not None:
            self._wall.change(config, self._ground)
        if self._wall.without is not None:
            copy = without(self._home, *self._wall.without)
            for mount in config["HostConfig"]["Mounts"]:
                if mount["Target"] == str(LIBRARY):
                    mount["Source"] = str(copy)
        return config


COPYING = threading.Lock()


def without(home: Path, name: str, line: str) -> Path:
    """A copy of the library of agents without a line, or with a limit that is none."""
    copy = home / f"library-{abs(hash(line))}"
    with COPYING:
        # Several attempts at once take the same line away.
        if not copy.exists():
            shutil.copytree(agent_tools.install(home).parent / agent_tools.LIBRARY, copy)
            text = (copy / name).read_text()
            assert text.count(line) == 1, f"{name} has another line by now: the control takes nothing away"
            (copy / name).write_text(
                text.replace(line, line.replace("16 << 20", "1 << 40") if "16 <<" in line else "")
            )
    return copy


@dataclass
class Stage:
    """All that attempts are made on."""

    home: Path
    own: OwnEngine
    ground: Ground
    facts: dict[str, str]
    tokens: Mapping[str, str]
    reads: tuple[Path, ...] = ()
    clone: Callable[[UUID], object] = field(default=lambda _run: None)
    """Makes the clone of a run."""

    def behind(self) -> DockerRunner:
        """The runner as it is."""
        return DockerRunner(self.home, self.own.client)

    def beyond(self, wall: str) -> DockerRunner:
        """The runner without a wall."""
        return Changed(self.home, self.own, WALLS[wall], self.ground)

    def launch(
        self,
        runner: Runner,
        argv: Sequence[str],
        *,
        token: str = "coder",
        prepare: Callable[[Path], None] | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> Launch:
        """The launch of a program in a clone of its own, in which the list lies."""
        run_id = uuid4()
        self.clone(run_id)
        layout = runner.layout(run_id)
        layout.clone.mkdir(parents=True, exist_ok=True)
        brought(layout.clone)
        if prepare is not None:
            prepare(layout.clone)
        given = {
            "run_id": run_id,
            "argv": tuple(argv),
            "environment": {
                "PATH": "/opt/egg/bin:/usr/local/bin:/usr/bin:/bin",
                "EGG_PROMPT_FILE": str(layout.inside.prompt),
            },
            "secrets": {"HOSTILE_SECRET": SECRET},
            "directory": layout.inside.directory,
            "home": run_places.home_of(self.home, self.facts["pipeline"], role_of(run_id)),
            "token": self.tokens[token],
            "container": walls.container(IMAGE),
            "reads": self.reads,
        }
        return Launch.model_validate({**given, **(fields or {})})

    def tried(
        self,
        runner: Runner,
        attempts: Sequence[Attempt],
        *,
        token: str = "coder",
        start: "Callable[[Path, Launch], None] | None" = None,
        is_fatal: bool = False,
        prepare: Callable[[Path], None] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Mapping[str, str]:
        """What becomes of attempts that one agent makes, one after the other.

        With the shim gone, one that *is_fatal* may be ended before it has said so itself.
        """
        told = {"names": [each.name for each in attempts], "facts": {**self.facts, **(facts or {})}}
        argv = ("python3", "-I", "-S", f"{PLACE}/tests/hostile_container/inside.py")
        # Not in plain words, since it is looked for whether these are anywhere.
        prompt = base64.b64encode(json.dumps(told).encode()).decode()
        launch = self.launch(runner, argv, token=token, prepare=prepare, fields={"prompt": prompt})
        if start is None:
            runner.ensure(launch)
        else:
            start(self.home, launch)
        ended = end(runner, launch.run_id)
        found = said(runner.layout(launch.run_id).clone)
        if is_fatal and ended.vanished:
            found = {each.name: "succeeded: nobody says how the run ended" for each in attempts} | dict(found)
        if missing := [each.name for each in attempts if each.name not in found]:
            log = runner.read_log(launch.run_id, offset=0, limit=4000).decode(errors="replace")
            raise AssertionError(f"{missing} never came to an end ({ended}): {log}")
        return found


def role_of(run_id: UUID) -> str:
    """A role for each run, so that each begins with a new clone."""
    return f"role-{run_id.hex[:8]}"


def said(clone: Path) -> Mapping[str, str]:
    """What attempts have written down of themselves."""
    return {path.name: path.read_text() for path in (clone / "said").glob("[!.]*")}


def brought(clone: Path) -> None:
    """Put the list where its agent finds it."""
    target = clone / PLACE / "tests/hostile_container"
    target.mkdir(parents=True)
    (clone / PLACE / "tests/__init__.py").touch()
    (clone / ".git/info").mkdir(parents=True, exist_ok=True)
    (clone / ".git/info/exclude").write_text(f"/{PLACE}/\n/said/\n")
    for source in HERE.glob("*.py"):
        if source.name not in {"stage.py", "walls.py", "page.py"}:
            shutil.copy(source, target)


@contextmanager
def neighbour(own: OwnEngine) -> Iterator[str]:
    """A container with a network in which every address is its own, and answers; its id."""
    argv = [
        "run",
        "--detach",
        "--network",
        "none",
        "--volume",
        f"{town.__file__}:/town.py:ro",
        "--label",
        "hostile",
    ]
    found = own.docker(*argv, IMAGE, "python3", "-I", "/town.py").strip()
    try:
        pid = own.docker("inspect", "--format", "{{.State.Pid}}", found).strip()
        script = """
        for each in all lo; do echo 0 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done
        ip route add local default dev lo && ip -6 route add local default dev lo
        """
        subprocess.run(["nsenter", "--target", pid, "--net", "sh", "-c", script], check=True)
        yield found
    finally:
        own.docker("rm", "--force", found)


@contextmanager
def servers(name: str) -> Iterator[tuple[int, int]]:
    """Two servers on loopback, and one at a socket of this name without a path; the ports of the former."""
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{name}")
    abstract.listen()

    threads = [threading.Thread(target=_greet, args=(door,), daemon=True) for door in (*doors, abstract)]
    for thread in threads:
        thread.start()
    try:
        yield int(doors[0].getsockname()[1]), int(doors[1].getsockname()[1])
    finally:
        for door in (*doors, abstract):
            door.shutdown(socket.SHUT_RDWR)
            door.close()
        for thread in threads:
            thread.join(5)


@contextmanager
def shared_memory() -> Iterator[tuple[int, str]]:
    """Memory of this machine that anybody may read: a key of the one kind, a name of the other."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = uuid4().int & 0x7FFFFFFF
    found = libc.shmget(key, 4096, 0o1666)
    assert found >= 0, os.strerror(ctypes.get_errno())
    name = Path(f"/dev/shm/egg-hostile-{key}")
    try:
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(found, None, 0)
        ctypes.memmove(at, b"of another program\0\0", 20)
        name.write_text("of another program")
        name.chmod(0o644)
        yield key, name.name
    finally:
        libc.shmctl(found, 0, None)
        name.unlink(missing_ok=True)


@contextmanager
def neighbours_program() -> Iterator[int]:
    """A process of the very user that agents are, which has a key in its environment; its pid."""
    environment = {"HOSTILE_BAIT": "key-of-another-program", "PATH": os.environ["PATH"]}
    with subprocess.Popen(["sleep", "600"], env=environment, user=AGENT_UID, group=AGENT_UID) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def handle_of(path: Path) -> str:
    """By what a file system knows a file whoever asks."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(buffer, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    done = libc.name_to_handle_at(-100, os.fsencode(path), buffer, ctypes.byref(mount), 0)
    assert done == 0, os.strerror(ctypes.get_errno())
    return bytes(buffer)[: 8 + int.from_bytes(bytes(buffer)[:4], "little")].hex()


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """Another agent's program, at a socket."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        path.chmod(0o666)
        door.listen()
        thread = threading.Thread(target=_greet, args=(door,), daemon=True)
        thread.start()
        yield
        door.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _greet(door: socket.socket) -> None:
    """Say something to whoever comes, until the door is closed."""
    while True:
        try:
            way, _ = door.accept()
        except OSError:
            return
        with way, suppress(OSError):
            way.settimeout(0.2)
            way.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")


def as_one_user(home: Path, launch: Launch) -> None:
    """Start a run in `process` isolation, where egg and its agents are one user, who is not root."""
    owner = home / run_places.RUNS
    subprocess.run(["chown", "-R", f"{AGENT_UID}:{AGENT_UID}", owner], check=True)
    library = agent_tools.install(home).parent / agent_tools.LIBRARY
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(AGENT_UID, AGENT_UID, AGENT_UID)
            os.setresuid(AGENT_UID, AGENT_UID, AGENT_UID)
            # Where that user can read it, wherever these tests lie.
            process.SHIM = library / "egg_tasks/runners/shim.py"
            ProcessRunner(owner, python="/usr/bin/python3").ensure(launch)
            os._exit(0)
        except BaseException:  # noqa: BLE001  it ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the run did not start"
