"""An agent in a container puts links where directories were, as fast as it can, while we look at its clone.

Each attack is tried with the container left running as well: there it succeeds, which is what makes it one.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks import stillness
from egg_tasks.runners import container_spec, looks
from egg_tasks.runners.docker import DockerRunner
from models.errors import EggError, Unavailable
from models.schemas.git import Clone
from models.schemas.run import Container
from tests.engine import IMAGE, OwnEngine
from tests.integration.runner_scene import end, end_all, launch, output, until
from tests.integration.workspace_scene import PIPELINE, Scene, commit, git

BOX = Container(image=IMAGE, memory=128 << 20, pids=60)
FOREIGN = "what only this machine's root may read\n"
FILES = 200
SECONDS = 60.0
"""So long an attack may take where nothing keeps it from succeeding; it takes one or two."""
SWAPPING = """
import ctypes, sys
libc, (here, there) = ctypes.CDLL(None), [each.encode() for each in sys.argv[1:]]
print("up", flush=True)
while True:
    libc.renameat2(-100, here, -100, there, 2)
"""
"""Two names change what they stand for, in one step each time and as often as the kernel does it."""
BEATING = "echo up; while :; do echo x >> beat; done"
DYING = """
import os, sys
from pathlib import Path
from uuid import UUID
from egg_tasks.runners import engine
from egg_tasks.runners.docker import DockerRunner
runner, run_id = DockerRunner(Path(sys.argv[1]), engine.at(sys.argv[2])), UUID(sys.argv[3])
with runner.attended(run_id), runner.still(run_id):
    print("still", flush=True)
    sys.stdin.read()
"""


class Ground:
    """A pipeline whose coder is in a container of the tests' engine."""

    def __init__(self, directory: Path, own: OwnEngine) -> None:
        self.scene, self.own = Scene(directory), own
        self.runner = DockerRunner(self.scene.home, own.client)
        self.run_id = uuid4()
        self.clone: Clone = self.scene.clone(run_id=self.run_id)

    def start(self, *argv: str) -> None:
        """Start the agent, which says `up` when it is at it."""
        layout = self.runner.layout(self.run_id)
        more = {"run_id": self.run_id, "directory": layout.inside.directory, "container": BOX}
        self.runner.ensure(launch("", **more, argv=argv))
        until(lambda: "up\n" in output(self.runner, self.run_id))

    def snapshot(self) -> None:
        """Keep what the agent holds, as its attendance does."""
        self.scene.workspace.snapshot(
            PIPELINE, role="coder", run_id=self.run_id, clone=self.clone.path, known=""
        )

    def take(self) -> None:
        """Look at its clone, as for READY."""
        self.scene.workspace.take(PIPELINE, run_id=self.run_id, clone=self.clone.path)

    def has(self, blob: str) -> bool:
        """Whether the pipeline's repository, which agents may read, holds a blob."""
        done = subprocess.run(["git", "cat-file", "-e", blob], cwd=self.scene.bare, check=False)
        return done.returncode == 0

    def beats(self) -> int:
        """How often the agent has written something."""
        beat = self.clone.path / "beat"
        return beat.stat().st_size if beat.exists() else 0

    def is_moving(self) -> bool:
        """Whether it writes now."""
        before = self.beats()
        time.sleep(0.1)
        return self.beats() > before

    def status(self) -> str:
        """What the engine says of the container."""
        return self.own.docker("inspect", "--format", "{{.State.Status}}", self.name).strip()

    @property
    def name(self) -> str:
        """What its container is called."""
        return container_spec.name(self.run_id)


@pytest.fixture
def ground(tmp_path: Path, container_engine: OwnEngine) -> Iterator[Ground]:
    ground = Ground(tmp_path, container_engine)
    yield ground
    end_all(ground.runner)


def into_a_snapshot(ground: Ground, place: Path) -> tuple[Callable[[], None], str, tuple[str, str]]:
    """A directory of the clone is a link to a foreign one when git opens what is in it."""
    mine = ground.clone.path / "mine"
    for directory, content in ((place, FOREIGN), (mine, "the agent's own\n")):
        directory.mkdir()
        # git asks of one file after the other, and of their directory but once.
        for number in range(FILES):
            (directory / str(number)).write_text(content)
    (ground.clone.path / "link").symlink_to(place)
    blob = git(place, "hash-object", "0")
    return ground.snapshot, blob, ("mine", "link")


def into_a_version(ground: Ground, place: Path) -> tuple[Callable[[], None], str, tuple[str, str]]:
    """The clone's packs are those of a foreign repository when git looks for what the head holds."""
    place.mkdir()
    git(place, "init", "-q")
    commit(place, {"file": FOREIGN})
    git(place, "repack", "-q", "-a", "-d")
    blob = git(place, "rev-parse", "HEAD:file")
    clone = ground.clone.path
    done = subprocess.run(
        ["git", "mktree", "--missing"],
        cwd=clone, input=f"100644 blob {blob}\tfile\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Nothing is uncommitted: what is foreign was there, and is there no more.
    before = git(clone, "commit-tree", "-m", "mine", "-p", "HEAD", done.stdout.strip())
    head = git(clone, "commit-tree", "-m", "mine", "-p", before, "HEAD^{tree}")
    (clone / ".git/HEAD").write_text(f"{head}\n")
    (clone / "link.log").symlink_to(place / ".git/objects/pack")
    return ground.take, blob, (".git/objects/pack", "link.log")


ATTACKS = [into_a_snapshot, into_a_version]


def tried(look: Callable[[], None], still: Callable[[], AbstractContextManager[None]]) -> None:
    with suppress(EggError), still():
        look()


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_foreign_byte_comes_from_a_clone_whose_agent_swaps_links_in_while_we_look(
    ground: Ground,
    tmp_path: Path,
    attack: Callable[[Ground, Path], tuple[Callable[[], None], str, tuple[str, str]]],
) -> None:
    look, blob, swapped = attack(ground, tmp_path / "foreign")
    ground.start("python3", "-c", SWAPPING, *swapped)

    with ground.runner.attended(ground.run_id):
        for _ in range(8):
            tried(look, lambda: ground.runner.still(ground.run_id))
        held = ground.has(blob)
    # The control: nothing but the pause is taken away.
    deadline = time.monotonic() + SECONDS
    while not ground.has(blob) and time.monotonic() < deadline:
        tried(look, nullcontext)

    assert not held
    assert ground.has(blob), "the attack does not succeed where nothing holds it back, and so shows nothing"


@contextmanager
def at_work(ground: Ground) -> Iterator[None]:
    """An agent that never rests, and a daemon of its own in a session of its own; attended."""
    ground.start("sh", "-c", f"setsid sh -c '{BEATING}' & {BEATING}")
    with ground.runner.attended(ground.run_id):
        yield


def test_all_processes_of_an_agent_stand_still_while_it_is_looked_at_and_then_go_on(ground: Ground) -> None:
    with at_work(ground):
        with ground.runner.still(ground.run_id):
            was_moving, status = ground.is_moving(), ground.status()
            stillness.need()

        assert (was_moving, status) == (False, "paused")
        assert ground.is_moving()


def test_two_who_look_at_once_take_turns_and_none_lets_it_go_on_under_the_other(ground: Ground) -> None:
    seen: list[bool] = []

    def look() -> None:
        with ground.runner.still(ground.run_id):
            seen.append(ground.is_moving())
            stillness.need()

    with at_work(ground):
        threads = [threading.Thread(target=look) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert seen == [False] * 3
        assert ground.is_moving()


@pytest.mark.parametrize("end_it", ["stop", "kill"])
def test_an_end_waits_for_the_look_and_then_comes(ground: Ground, end_it: str) -> None:
    with at_work(ground):
        with ground.runner.still(ground.run_id):
            ending = threading.Thread(target=getattr(ground.runner, end_it), args=(ground.run_id,))
            ending.start()
            time.sleep(0.3)
            was_moving = ground.is_moving()
            stillness.need()
        ending.join()

        assert not was_moving
        assert end(ground.runner, ground.run_id).stopped


def test_what_a_worker_that_was_killed_has_left_paused_goes_on_when_another_attends_it(
    ground: Ground,
) -> None:
    ground.start("sh", "-c", BEATING)
    argv = [sys.executable, "-c", DYING, str(ground.scene.home), ground.own.url, str(ground.run_id)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"still\n"
        assert ground.status() == "paused"
        ground.runner.wait(ground.run_id, timeout=timedelta(0))
        held = ground.status()
        dying.send_signal(signal.SIGKILL)

    left = ground.status()
    ground.runner.wait(ground.run_id, timeout=timedelta(0))

    assert (held, left) == ("paused", "paused"), "nobody lets go on what is looked at"
    assert ground.is_moving()
    with ground.runner.attended(ground.run_id), ground.runner.still(ground.run_id):
        assert ground.status() == "paused"


def test_one_left_paused_can_be_killed_and_stopped(ground: Ground) -> None:
    ground.start("sh", "-c", BEATING)
    ground.own.client.pause(ground.name)

    ground.runner.stop(ground.run_id)

    assert end(ground.runner, ground.run_id).stopped


def test_who_looks_and_dies_leaves_nothing_behind(ground: Ground) -> None:
    with at_work(ground):
        argv = [sys.executable, "-c", DYING.replace("runner.attended(run_id), ", "")]
        with subprocess.Popen(
            [*argv, str(ground.scene.home), "unix:///no/such/docker.sock", str(ground.run_id)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        ) as looking:  # fmt: skip
            assert looking.stdout is not None
            assert looking.stdout.readline() == b"still\n", "who looks has no engine, and needs none"
            looking.send_signal(signal.SIGKILL)

        until(ground.is_moving)


def test_nothing_is_kept_of_a_look_in_which_it_went_on(ground: Ground) -> None:
    head = commit(ground.clone.path, {"new": "new\n"})
    with at_work(ground):
        with ground.runner.still(ground.run_id):
            ground.own.docker("unpause", ground.name)
            with pytest.raises(Unavailable, match="did not stand still"):
                ground.scene.workspace.head(PIPELINE, clone=ground.clone.path)

        assert not ground.has(head)
        with ground.runner.still(ground.run_id):
            assert ground.scene.workspace.head(PIPELINE, clone=ground.clone.path) == head


def test_a_look_ends_with_whoever_attends_and_nothing_of_it_is_kept(ground: Ground) -> None:
    with at_work(ground):
        looking = ground.runner.still(ground.run_id)
        looking.__enter__()

    with pytest.raises(Unavailable, match="has gone meanwhile"):
        stillness.need()
    assert ground.is_moving()
    looking.__exit__(None, None, None)


def test_one_that_is_over_is_looked_at_as_it_lies_and_one_that_nobody_attends_is_not(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "PATIENCE", 0.1)
    ground.start("sh", "-c", BEATING)

    with pytest.raises(Unavailable, match="no worker attends"), ground.runner.still(ground.run_id):
        pass
    ground.runner.kill(ground.run_id)
    with ground.runner.still(ground.run_id):
        stillness.need()
