"""A local stack of our own, driven by typing commands."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import cli.main
from egg_tasks.demo.repository import make_repository
from tests.engine import url_to_be

ROOT = Path(__file__).parents[2]
EGG = str(Path(sys.executable).parent / "egg")
DEADLINE = 150.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), str(Path(sys.base_prefix, "bin")), os.environ.get("PATH", os.defpath)]
)
"""Ours first, then this interpreter's: what chooses one of many starts ten shells for each `python3`."""


@dataclass
class Egg:
    """The command line of one stack."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    program: str = EGG

    def run(
        self, *words: str, check: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        done = self._run([self.program, *words], cwd)
        assert not check or done.returncode == 0, f"egg {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done

    def type(self, line: str, *, cwd: Path | None = None) -> str:
        """Type a line as it was printed, into a shell; all it said."""
        done = self._run(["sh", "-c", line], cwd)
        assert done.returncode == 0, f"{line}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def _run(self, command: list[str], cwd: Path | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environ(),
            cwd=cwd or self.home,
            text=True,
            capture_output=True,
            check=False,
            timeout=170,
            stdin=subprocess.DEVNULL,
        )

    def _environ(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.home), "EGG_HOME": str(self.home), **self.environment}

    def _said_here(self, *words: str) -> str:
        """What a command prints, run in this process: tests ask often, and another process costs 0.2 s."""
        if self.program != EGG:
            return self.run(*words).stdout
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name in os.environ.keys() - self._environ().keys():
                patch.delenv(name)
            for name, value in self._environ().items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", [self.program, *words])
            patch.chdir(self.home)
            code = cli.main.run()
        assert code == 0, f"egg {' '.join(words)}: {out.getvalue()}\n{err.getvalue()}"
        return out.getvalue()

    def json(self, *words: str) -> Any:
        """Ask with a command and read what it prints."""
        return json.loads(self._said_here(*words, "--json"))

    def status(self, pipeline: str) -> str:
        """Where a pipeline stands."""
        return str(self.json("pipeline", "get", pipeline)["status"])

    def events(self, pipeline: str) -> list[dict[str, Any]]:
        """All that happened in a pipeline."""
        lines = self._said_here("events", pipeline, "--jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def wait(self, what: Callable[[], bool], *, why: str) -> None:
        """Poll until *what* holds, the more seldom the longer it takes: each poll is work for the stack."""
        deadline, pause = time.monotonic() + DEADLINE, FIRST_PAUSE
        while not what():
            assert time.monotonic() < deadline, f"never came: {why}"
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.3)

    def wait_for_event(
        self, pipeline: str, kind: str, *, role: str | None = None, phase: str | None = None
    ) -> None:
        """Poll until something has happened."""

        def happened() -> bool:
            return any(
                event["type"] == kind
                and (role is None or event["role"] == role)
                and (phase is None or event["phase"] == phase)
                for event in self.events(pipeline)
            )

        self.wait(happened, why=f"{kind} of {role} in {pipeline}")

    def processes(self, *words: str) -> list[int]:
        """The processes of this stack whose command line holds all of *words*."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            # An agent does not know EGG_HOME, but its prompt and its clone are in it.
            is_ours = str(self.home).encode() in environment or str(self.home) in line
            if is_ours and all(word in line for word in words):
                found.append(int(entry.name))
        return found

    def kill(self, *words: str) -> int:
        """Kill these processes with -9; how many."""
        pids = self.processes(*words)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return len(pids)


def unchosen_port() -> int:
    """A free port that neither a stack nor the kernel would choose by itself."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def unchosen_ports() -> dict[str, str]:
    """Such ports for all that a stack keeps."""
    return {name: str(unchosen_port()) for name in ("EGG_API_PORT", "EGG_GATEWAY_PORT")}


@pytest.fixture(scope="package")
def egg(request: pytest.FixtureRequest) -> Iterator[Egg]:
    """A stack that is up; its home is short, since unix sockets have short paths.

    It knows where the container engine is, which is there for who asks for `container_engine`.

    It goes with the last test here: idle it would take part of a processor from all tests that follow.
    """
    home = Path(tempfile.mkdtemp(prefix="egg-", dir="/tmp"))
    # Tests kill all of it: a stack that is started meanwhile must not choose its port.
    stack = Egg(home, {"EGG_DOCKER_HOST": url_to_be(request.config), **unchosen_ports()})
    home.chmod(0o711)
    stack.run("up")
    yield stack
    stack.run("down", check=False)
    for word in (str(home),):
        stack.kill(word)
    subprocess.run(["rm", "-rf", str(home)], check=False)


@pytest.fixture
def person() -> Iterator[Egg]:
    """Somebody new, with a home of their own, no stack yet, and no `egg` on the PATH."""
    home = Path(tempfile.mkdtemp(prefix="egg-", dir="/tmp"))
    home.chmod(0o711)
    path = [each for each in PATH.split(os.pathsep) if not (Path(each) / "egg").exists()]
    stack = Egg(home, {"PATH": os.pathsep.join(path), **unchosen_ports()})
    yield stack
    stack.run("down", "--agents", check=False)
    stack.kill(str(home))
    shutil.rmtree(home)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The demo's repository, with its agents and its definition in it."""
    return make_repository(tmp_path / "shop")
