"""A container engine of the tests' own, on a private socket and data root: started once, stopped with them.

Processes of pytest-xdist share one: who comes first starts it, and stops it when all others have left.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from egg_tasks.runners import engine
from models.errors import EngineAway

ROOT = Path(__file__).parents[1]
IMAGE = "egg-base"
SECONDS = 60.0
PROGRAMS = ("dockerd", "docker", "debootstrap")
GIVEN = os.environ.get("EGG_TEST_ENGINE", "")
"""The URL of an engine that has the image already, for who would start none for each run of a test."""
HOW = "as root on Debian: apt-get install docker.io debootstrap"


@dataclass
class OwnEngine:
    """An engine whose processes are ours."""

    home: Path
    given: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.given or f"unix://{self.home}/docker.sock"

    @property
    def client(self) -> engine.Engine:
        """It, as our code sees it."""
        return engine.at(self.url)

    def start(self) -> None:
        """Start it, and return when it answers."""
        argv = [
            "dockerd", "--host", self.url, "--data-root", f"{self.home}/data",
            "--exec-root", f"{self.home}/exec", "--pidfile", f"{self.home}/pid",
            "--iptables=false", "--bridge=none",
        ]  # fmt: skip
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(EngineAway):
                self.client.list_labels({}, lives=True)
                return
            time.sleep(0.1)
        raise AssertionError(f"dockerd does not answer:\n{(self.home / 'log').read_text()[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and its containers unless it is killed."""
        assert self.process is not None
        beneath = (self.home / "exec/containerd/containerd.pid").read_text()
        self.process.send_signal(number)
        self.process.wait(SECONDS)
        # It is gone once it is buried, which is not for us to do: the next one would take it for alive.
        deadline = time.monotonic() + SECONDS
        while Path(f"/proc/{beneath}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove all that it had; one that was killed has left mounts."""
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(f"{self.home}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def docker(self, *argv: str) -> str:
        """What the engine's own command says."""
        done = subprocess.run(
            ["docker", "--host", self.url, *argv], capture_output=True, text=True, check=True
        )
        return done.stdout

    def image_base(self) -> None:
        """Make the image that users make with `make image-base`."""
        environment = {**os.environ, "DOCKER_HOST": self.url}
        done = subprocess.run(
            [ROOT / "docker/image-base", IMAGE], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def missing() -> str:
    """What of a real engine this machine lacks, in words; empty if it has all."""
    if os.geteuid() != 0:
        return "an engine of the tests' own is started by root"
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{' and '.join(lacking)} not here; {HOW}" if lacking else ""


def run_of(config: pytest.Config) -> str:
    """What all processes of one run of the tests call it."""
    return getattr(config, "workerinput", {}).get("testrunuid") or f"{os.getpid()}"


def home_of(run: str) -> Path:
    """Where the engine of a run of the tests is, started or not."""
    return Path(tempfile.gettempdir()) / f"egg-engine-{run}"


def url_to_be(config: pytest.Config) -> str:
    """Where it will answer if a test asks for it, for what is started before."""
    return OwnEngine(home_of(run_of(config)), given=GIVEN).url


@contextmanager
def shared_engine(run: str) -> Iterator[OwnEngine]:
    """The engine of one run of the tests, whoever of its processes asks."""
    home = home_of(run)
    with suppress(FileExistsError):
        home.mkdir(mode=0o711)
    own = OwnEngine(home)
    with (home / "starting").open("w") as starting, (home / "used").open("w") as used:
        fcntl.flock(starting, fcntl.LOCK_EX)
        is_first = not (home / "begun").exists()
        if is_first:
            (home / "begun").touch()
            own.start()
            own.image_base()
        fcntl.flock(used, fcntl.LOCK_SH)
        fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield own
        finally:
            if is_first:
                # Until everybody else has left.
                fcntl.flock(used, fcntl.LOCK_EX)
                own.stop()
                own.remove()


@pytest.fixture(scope="session")
def container_engine(request: pytest.FixtureRequest) -> Iterator[OwnEngine]:
    """A real engine with the base image; where it cannot be had the test is skipped, and in CI fails."""
    if GIVEN:
        yield OwnEngine(Path("/"), given=GIVEN)
        return
    if why := missing():
        if os.environ.get("CI"):
            pytest.fail(f"no container engine: {why}")
        pytest.skip(why)
    with shared_engine(run_of(request.config)) as own:
        yield own
