"""Agents in containers, as a person has them: the page is typed, the demo on it looked at while it runs."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from egg_tasks.demo.repository import make_repository
from tests.acceptance.conftest import Egg
from tests.acceptance.test_pages import Scene, type_block
from tests.engine import IMAGE, OwnEngine
from tests.pages import ROOT, blocks

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

PAGE = ROOT / "docs/howto/containers.md"
AGENT = "65532:65532"
WALLS = {
    "user": AGENT,
    "capabilities": (["ALL"], None),
    "privileged": False,
    "security": {"no-new-privileges:true", "label=disable"},
    "root is to read": True,
    "network": "none",
    "ipc": "private",
    "pids": 512,
    "memory": 4 << 30,
    "memory and swap": 4 << 30,
    "cpus": 2_000_000_000,
    "nofile": 16384,
    "core": 0,
    "tmpfs": ["/tmp"],
    "restart": "no",
    "devices": [],
    "engine socket": False,
    "environment": [],
}
"""What `docker inspect` shows of an agent of whom nothing is said but `docker`."""
TO_WRITE = {"/work", "/home/agent", "/run/egg-shim"}


def walls(found: dict[str, Any]) -> dict[str, object]:
    """The same of a container."""
    host, limits = found["HostConfig"], {each["Name"]: each for each in found["HostConfig"]["Ulimits"]}
    return {
        "user": found["Config"]["User"],
        "capabilities": (host["CapDrop"], host["CapAdd"]),
        "privileged": host["Privileged"],
        "security": set(host["SecurityOpt"]),
        "root is to read": host["ReadonlyRootfs"],
        "network": host["NetworkMode"],
        "ipc": host["IpcMode"],
        "pids": host["PidsLimit"],
        "memory": host["Memory"],
        "memory and swap": host["MemorySwap"],
        "cpus": host["NanoCpus"],
        "nofile": limits["nofile"]["Hard"],
        "core": limits["core"]["Hard"],
        "tmpfs": list(host["Tmpfs"]),
        "restart": host["RestartPolicy"]["Name"],
        "devices": host["Devices"] or [],
        "engine socket": any("docker.sock" in each["Source"] for each in found["Mounts"]),
        "environment": found["Config"]["Env"] or [],
    }


class Sight:
    """What `docker inspect` shows of live agents of one stack, looked at again and again by a thread."""

    def __init__(self, own: OwnEngine, home: Path) -> None:
        self._own, self._home = own, home
        self._is_over = threading.Event()
        self.seen: dict[str, dict[str, Any]] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Look meanwhile."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.3):
            names = self._own.docker(
                "ps", "--format", "{{.Names}}", "--filter", "label=egg.agent.role"
            ).split()
            for name in set(names) - self.seen.keys():
                # It may have ended by now.
                with suppress(subprocess.CalledProcessError):
                    (found,) = json.loads(self._own.docker("inspect", name))
                    if str(self._home) in json.dumps(found["Mounts"]):
                        self.seen[name] = found


def test_the_page_is_typed_and_the_demos_agents_agree_behind_every_wall(
    egg: Egg, container_engine: OwnEngine, tmp_path: Path
) -> None:
    shop = make_repository(tmp_path / "person/shop")
    sight = Sight(container_engine, egg.home)

    with sight.open():
        for block in blocks(PAGE):
            if block.is_run:
                refused = type_block(Scene(egg, shop), block)
                assert refused is None, f"{block}: {refused}"

    newest = egg.json("pipeline", "list")["pipelines"][0]["id"]
    phases = egg.json("phase", "list", newest)["phases"][::-1]
    assert [phase["stop_reason"] for phase in phases] == ["consensus", "consensus"]
    assert [row["status"] for row in phases[1]["objections"]] == ["withdrawn"]
    runs = egg.json("agent", "list", newest)["agents"]
    assert {run["isolation"] for run in runs} == {"docker"}
    assert {run["role"] for run in runs} == {"planner", "coder", "tester", "documenter", None}
    inspected = [
        each for each in sight.seen.values() if each["Config"]["Labels"]["egg.pipeline.id"] == newest
    ]
    assert len(inspected) >= 2
    for found in inspected:
        assert found["Config"]["Image"] == IMAGE
        assert walls(found) == WALLS
        to_write = {each["Destination"] for each in found["Mounts"] if each["RW"]}
        assert {place for place in to_write if not place.startswith("/check/")} <= TO_WRITE
    egg.wait(lambda: not left(egg, container_engine), why="no container left")


def left(egg: Egg, own: OwnEngine) -> list[str]:
    """The containers that there are of a stack."""
    names = own.docker("ps", "-a", "--format", "{{.Names}}", "--filter", "label=egg.agent.role").split()
    found = json.loads(own.docker("inspect", *names)) if names else []
    return [each["Name"] for each in found if str(egg.home) in json.dumps(each["Mounts"])]


@pytest.mark.usefixtures("container_engine")
def test_a_running_stack_refuses_what_its_engine_cannot_make(egg: Egg, shop: Path) -> None:
    other = {**egg.environment, "EGG_DOCKER_HOST": "unix:///elsewhere.sock"}
    before = egg.json("pipeline", "list")

    # This shell names another engine, so that the stack alone knows.
    done = Egg(egg.home, other).run("run", "--set", "isolation=docker", check=False, cwd=shop)

    assert done.returncode == 1
    assert "the container engine has no image egg-agent:latest: `make image`" in done.stderr
    assert egg.json("pipeline", "list") == before
