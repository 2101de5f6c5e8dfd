"""From nothing to an agent at work in its container, beside it by hand: a worktree and `docker run`."""

import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from benchmarks.figures import Figure
from benchmarks.workspace_repositories import Size, make
from egg_tasks.run_places import LOG, given, home_of
from egg_tasks.runners.docker import DockerRunner
from egg_tasks.runners.engine import at
from egg_tasks.workspace import GitWorkspace
from models.schemas.run import Container, Launch

GROUP = "clone + container ready, warm, p50"
SCRIPT = "echo up; exec sleep 600"
WARM = 1
SECONDS = 300.0
AT_ONCE = 0.001
READABLE = ("HEAD", "refs", "packed-refs", "objects", "info")


class Ground:
    """A home without a stack, for one repository, and the same repository for whoever works by hand."""

    def __init__(self, place: Path, url: str, image: str, size: Size) -> None:
        self.home, self.url, self.image, self.size = place / "home", url, image, size
        self.home.mkdir(mode=0o711)
        # There as it is where a gateway runs, so that the container's start has a relay's in it.
        (self.home / "gateway").mkdir(mode=0o711)
        self.workspace = GitWorkspace(self.home)
        self.runner = DockerRunner(self.home, at(url))
        self.source = make(place, size)
        self.commit = self.workspace.prepare(size.name, source=str(self.source), base="main")

    def ours(self) -> float:
        """How long it takes until an agent of ours says its first word, in ms."""
        run_id, name = uuid4(), self.size.name
        began = time.monotonic()
        clone = self.workspace.open_clone(name, role="coder", run_id=run_id, work_commit=self.commit)
        layout = self.runner.layout(run_id, directory=clone.path)
        repository = self.workspace.repository(name)
        launch = Launch(
            run_id=run_id,
            argv=("sh", "-c", SCRIPT),
            environment={},
            directory=layout.inside.directory,
            home=home_of(self.home, name, "coder"),
            container=Container(image=self.image),
            reads=tuple(repository / part for part in READABLE),
        )
        self.runner.ensure(launch)
        while not self.runner.read_log(run_id, offset=0, limit=10):
            assert time.monotonic() - began < SECONDS, f"no word of {layout.own / LOG}"  # noqa: S101
            time.sleep(AT_ONCE)
        took = 1000 * (time.monotonic() - began)
        self.runner.kill(run_id)
        self.runner.wait(run_id, timeout=timedelta(seconds=SECONDS))
        subprocess.run(["rm", "-rf", str(given(self.home, run_id))], check=True)
        return took

    def by_hand(self) -> float:
        """How long it takes until a program in a container on a worktree does, in ms."""
        where = self.home.with_name(f"by-hand-{uuid4().hex[:8]}")
        name = where.name
        began = time.monotonic()
        git = ["git", "-C", str(self.source), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(where), self.commit], check=True)
        mounts = ["-v", f"{where}:/work", "-w", "/work", "--network", "none", "--name", name]
        command = ["docker", "--host", self.url, "run", "--rm", *mounts, self.image, "sh", "-c", SCRIPT]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
            assert running.stdout is not None  # noqa: S101
            assert running.stdout.readline() == b"up\n", "it says so"  # noqa: S101
            took = 1000 * (time.monotonic() - began)
            removed = ["docker", "--host", self.url, "rm", "--force", name]
            subprocess.run(removed, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*git, "remove", "--force", str(where)], check=True)
        return took


def measure(place: Path, url: str, image: str, sizes: Sequence[tuple[Size, int]]) -> list[Figure]:
    """Both, in turns, so often for each size."""
    found = []
    for size, rounds in sizes:
        folder = place / f"starts-{size.name}"
        folder.mkdir(mode=0o711)
        ground = Ground(folder, url, image, size)
        times = [(ground.ours(), ground.by_hand()) for _ in range(WARM + rounds)][WARM:]
        ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
        found.append(Figure(GROUP, size.said, ours, "ms", "git worktree add + docker run", theirs))
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return found
