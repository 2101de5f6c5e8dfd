"""An installation of containers, built and brought up on the tests' own engine as a person would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import unchosen_port
from tests.engine import IMAGE, OwnEngine

ROOT = Path(__file__).parents[2]
EGG = str(Path(sys.executable).parent / "egg")
OURS, SERVERS = "egg-compose-test", "egg-compose-test-servers"
SECONDS, PATIENCE = 600, 240.0
LEFT = (("ps", "-a"), ("network", "ls"), ("volume", "ls"))


@dataclass(frozen=True)
class Installation:
    """One that is up, and the command line of the machine it is on, which knows its URL and its token."""

    engine: OwnEngine
    place: Path
    environment: dict[str, str]
    name: str

    @property
    def home(self) -> Path:
        """Its EGG_HOME, the same in all of its containers."""
        return self.place / "home"

    @property
    def secrets(self) -> dict[str, str]:
        """What its secrets hold, by their names."""
        return {path.name: path.read_text().strip() for path in (self.place / "secrets").iterdir()}

    def compose(self, *words: str) -> str:
        """Have compose do something with it."""
        files = ["-f", str(ROOT / "docker/compose.yaml"), "-p", self.name]
        return told([*compose_program(), *files, *words], self.environment)

    def egg(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Type a command on the machine."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "EGG_HOME": str(self.place / "nobodys"),
            "EGG_ORCHESTRATOR_URL": f"http://127.0.0.1:{self.environment['EGG_API_PORT']}",
            "EGG_OPERATOR_TOKEN": self.secrets["EGG_OPERATOR_TOKEN"],
        }
        done = subprocess.run(
            [EGG, *words],
            env=environment,
            cwd=self.place,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"egg {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done

    def services(self) -> dict[str, dict[str, Any]]:
        """What the engine shows of the container of each service."""
        label = f"label=com.docker.compose.project={self.name}"
        ids = self.engine.docker("ps", "-aq", "--filter", label).split()
        found = json.loads(self.engine.docker("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def agents(self) -> list[dict[str, Any]]:
        """The same of agents' containers that live."""
        ids = self.engine.docker("ps", "-q", "--filter", f"label=egg.node={self.name}").split()
        found = json.loads(self.engine.docker("inspect", *ids)) if ids else []
        assert isinstance(found, list)
        return found


def until(holds: Callable[[], Any], *, why: str) -> Any:
    """Wait for something that is about to happen; what it is."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came: {why}"
        time.sleep(0.5)
    return found


def told(command: list[str], environment: dict[str, str]) -> str:
    """What a program says that does well."""
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def compose_program() -> list[str]:
    """Docker's own compose, else Debian's; where there is none the test is skipped, and in CI fails."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    why = "neither `docker compose` nor docker-compose is here (Debian: apt-get install docker-compose)"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def installation(container_engine: OwnEngine) -> Iterator[Installation]:
    """One in a new place, of images that are built from this tree; nothing of it may be left in the end."""
    compose_program()
    own = container_engine
    socket = Path(own.url.removeprefix("unix://"))
    environment = {**os.environ, "DOCKER_HOST": own.url, "BUILD_NETWORK": "host", "VERSION": "0+compose.test"}
    told(["docker/image", "egg", OURS], {**environment, "BASE": IMAGE})
    told(["docker/image", "servers", SERVERS], {**environment, "EGG": OURS})
    place = Path(tempfile.mkdtemp(prefix="egg-compose-", dir="/tmp"))
    place.chmod(0o711)
    told(["docker/make-secrets", str(place / "secrets")], environment)
    environment |= {
        "EGG_HOME": str(place / "home"),
        "EGG_NODE": place.name,
        "EGG_SECRETS": str(place / "secrets"),
        "EGG_SECRETS_DIR": str(place / "agents-secrets"),
        "EGG_API_PORT": str(unchosen_port()),
        "EGG_IMAGE": OURS,
        "POSTGRES_IMAGE": SERVERS,
        "VALKEY_IMAGE": SERVERS,
        "DOCKER_SOCKET": str(socket),
        "DOCKER_GROUP": str(socket.stat().st_gid),
    }
    installed = Installation(own, place, environment, place.name)
    try:
        installed.compose("up", "--detach")
        # What publishes its port takes connections before it does.
        until(lambda: installed.services()["api"]["State"]["Health"]["Status"] == "healthy", why="the API")
        yield installed
    finally:
        installed.compose("down", "--volumes")
        shutil.rmtree(place)
    left = [own.docker(*what, "-q", "--filter", f"name={place.name}") for what in LEFT]
    agents = own.docker("ps", "-aq", "--filter", f"label=egg.node={place.name}")
    assert [*left, agents] == [""] * 4
