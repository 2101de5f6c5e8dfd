"""What a running agent has not committed outlives its clone, and nobody notices that it is looked at."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks.attending.snapshots import Snapshots
from egg_tasks.runners.process import ProcessRunner
from egg_tasks.workspace import GitWorkspace, allowance, snapshots, weights
from egg_tasks.workspace.git import Git
from models.errors import Conflict, EggError, NoRoom
from models.schemas.git import Clone
from models.tables import AgentRun
from tests.integration.workspace_scene import BREAKAGES, PIPELINE, Scene, commit, git, run_of


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def snap(scene: Scene, clone: Clone, known: str | None = "") -> str | None:
    """Have a snapshot taken; the mark of it, None when no more are taken."""
    return scene.workspace.snapshot(
        PIPELINE, role="coder", run_id=run_of(clone), clone=clone.path, known=known or ""
    )


def ref(clone: Clone) -> str:
    return f"refs/egg/snapshots/{run_of(clone)}"


def held(scene: Scene, clone: Clone, path: str) -> str:
    """A file as the last snapshot has it."""
    return git(scene.bare, "cat-file", "blob", f"{ref(clone)}:{path}")


def aged(clone: Clone) -> None:
    """Have all files look as if nobody had written to them lately."""
    before = time.time() - 60
    for path in clone.path.rglob("*"):
        if ".git" not in path.parts and path.is_file():
            os.utime(path, (before, before))


def state(clone: Clone) -> dict[str, tuple[bytes, int]]:
    """All that is in a clone, with when it was written."""
    found = [path for path in clone.path.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_every_line_is_there_and_the_clone_is_as_it_was(scene: Scene) -> None:
    clone = scene.clone()
    head = commit(clone.path, {"committed": "in the clone alone\n"})
    (clone.path / "shop.py").write_text("one\ntwo\nthree\nfour\n")
    (clone.path / "new").write_text("new\n")
    (clone.path / "staged").write_text("staged\n")
    git(clone.path, "add", "staged")
    (clone.path / "README").unlink()
    before = state(clone)

    snap(scene, clone)

    assert state(clone) == before
    assert held(scene, clone, "shop.py") == "one\ntwo\nthree\nfour"
    assert [held(scene, clone, name) for name in ("new", "staged", "committed")] == [
        "new", "staged", "in the clone alone",
    ]  # fmt: skip
    assert git(scene.bare, "rev-parse", f"{ref(clone)}^") == head
    assert git(scene.bare, "ls-tree", "--name-only", ref(clone), "README") == ""
    assert git(scene.bare, "fsck", "--strict", "--no-dangling") == ""
    assert scene.tip(clone.branch) == ""


def test_what_did_not_change_is_not_kept_again(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new\n")
    aged(clone)
    time.sleep(1.1)  # the times git and we go by are too fresh before
    mark = snap(scene, clone)
    first = git(scene.bare, "rev-parse", ref(clone))

    assert mark
    assert snap(scene, clone, mark) == mark
    assert git(scene.bare, "rev-parse", ref(clone)) == first

    (clone.path / "new").write_text("newer\n")
    assert snap(scene, clone, mark) != mark
    assert held(scene, clone, "new") == "newer"


def test_a_clone_that_is_gone_is_salvaged_from_its_snapshot(scene: Scene) -> None:
    clone = scene.clone()
    commit(clone.path, {"committed": "committed\n"})
    (clone.path / "new").write_text("new\n")
    snap(scene, clone)
    shutil.rmtree(clone.path)

    saved = scene.save(clone)

    assert saved
    assert saved.kept == ()
    assert saved.snapshot_at
    assert scene.tip(clone.branch) == saved.commit
    assert scene.saved(clone.branch, "new") == b"new\n"
    assert scene.saved(clone.branch, "committed") == b"committed\n"
    assert scene.save(clone) == saved


def test_what_ready_was_refused_for_is_set_aside_from_a_snapshot_too(scene: Scene) -> None:
    clone = scene.clone()
    head = commit(clone.path, {"committed": "committed\n"})
    (clone.path / "junk").write_text("junk\n")
    snap(scene, clone)
    shutil.rmtree(clone.path)

    saved = scene.save(clone, is_refused=True)

    assert saved
    assert scene.tip(clone.branch) == saved.commit == head
    assert saved.set_aside
    assert scene.saved(saved.set_aside, "junk") == b"junk\n"
    assert scene.save(clone, is_refused=True) == saved


@pytest.mark.parametrize("harm", BREAKAGES[:4])
def test_an_unreadable_clone_is_salvaged_on_top_of_its_snapshot(
    scene: Scene, harm: Callable[[Path], None]
) -> None:
    clone = scene.clone()
    commit(clone.path, {"committed": "committed\n"})
    (clone.path / "early").write_text("early\n")
    snap(scene, clone)
    shutil.rmtree(clone.path / ".git/refs")
    harm(clone.path)
    (clone.path / "committed").unlink()
    (clone.path / "late").write_text("late\n")

    saved = scene.save(clone)

    assert saved
    assert saved.snapshot_at
    assert saved.kept
    files = {name: scene.saved(clone.branch, name) for name in ("committed", "early", "late")}
    assert files == {"committed": b"committed\n", "early": b"early\n", "late": b"late\n"}


def stage_alone(clone: Clone, size: int) -> None:
    """Stage a file of so many bytes that only the index knows of."""
    (clone.path / "bomb").write_text("x" * size)
    git(clone.path, "add", "bomb")
    git(clone.path, "update-index", "--skip-worktree", "bomb")
    (clone.path / "bomb").unlink()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can check out a file of more than 50 bytes."""
    monkeypatch.setattr(weights, "LARGEST_FILE", 50)


@pytest.mark.usefixtures("small")
def test_what_others_cannot_check_out_is_in_no_snapshot(scene: Scene) -> None:
    clone = scene.clone()
    stage_alone(clone, 100)

    with pytest.raises(Conflict, match="bomb has 100 bytes"):
        snap(scene, clone)

    assert git(scene.bare, "for-each-ref", "refs/egg/snapshots") == ""


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "unreadable"])
@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "plain"])
def test_of_a_snapshot_that_others_cannot_check_out_only_the_commits_are_salvaged(
    scene: Scene, request: pytest.FixtureRequest, *, is_gone: bool, is_refused: bool
) -> None:
    clone = scene.clone()
    head = commit(clone.path, {"committed": "committed\n"})
    stage_alone(clone, 100)
    snap(scene, clone)
    request.getfixturevalue("small")
    if is_gone:
        shutil.rmtree(clone.path)
    else:
        BREAKAGES[0](clone.path)

    saved = scene.save(clone, is_refused=is_refused)

    assert saved
    assert saved.snapshot_at
    assert (saved.commit, saved.set_aside) == (head, None)
    assert scene.tip(clone.branch) == head


def test_commits_that_came_by_snapshots_count_among_those_that_come(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "MOST_COMMITS", 2)
    clone = scene.clone()
    for name in ("one", "two", "three"):
        commit(clone.path, {name: name})
        with suppress(Conflict):
            snap(scene, clone)

    with pytest.raises(Conflict, match="more than 2 commits"):
        scene.take(clone)


def test_without_a_snapshot_a_clone_that_is_gone_has_nothing(scene: Scene) -> None:
    clone = scene.clone()
    shutil.rmtree(clone.path)

    assert scene.save(clone) is None


def test_nothing_of_the_agents_runs(scene: Scene, tmp_path: Path) -> None:
    clone = scene.clone()
    (clone.path / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for key in ("filter.evil.clean", "filter.evil.smudge", "core.fsmonitor", "diff.evil.textconv"):
        git(clone.path, "config", key, f"touch {tmp_path}/ran; cat")
    (clone.path / "new").write_text("new\n")

    snap(scene, clone)

    assert not (tmp_path / "ran").exists()


def test_a_large_file_is_left_to_salvage(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LARGEST", 100)
    clone = scene.clone()
    (clone.path / "large").write_text("x" * 200)
    (clone.path / "small").write_text("small\n")

    snap(scene, clone)

    assert git(scene.bare, "ls-tree", "--name-only", ref(clone)).split() == [
        ".gitignore",
        "README",
        "shop.py",
        "small",
    ]


def test_a_large_file_that_only_the_index_has_is_left_to_salvage(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "LARGEST", 50)
    clone = scene.clone()
    stage_alone(clone, 100)

    snap(scene, clone)

    assert "bomb" not in git(scene.bare, "ls-tree", "--name-only", ref(clone))


def test_of_much_together_the_smallest_files_are_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MOST_TOGETHER", 100)
    clone = scene.clone()
    for name, size in {"a": 70, "b": 60, "c": 10}.items():
        (clone.path / name).write_text("x" * size)

    snap(scene, clone)

    assert {"a", "b", "c"} & set(git(scene.bare, "ls-tree", "--name-only", ref(clone)).split()) == {"b", "c"}


def test_a_runs_snapshots_bring_no_more_than_they_may_also_after_a_restart(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_OF_RUN", 5 * snapshots.BLOCK)
    clone = scene.clone()
    (clone.path / "new").write_text("new\n")
    assert snap(scene, clone) is not None
    before = (git(scene.bare, "rev-parse", ref(clone)), git(scene.bare, "count-objects"))

    (clone.path / "new").write_text("newer\n")
    assert snap(scene, clone) is None
    scene.workspace = GitWorkspace(scene.home)
    assert snap(scene, clone) is None

    assert (git(scene.bare, "rev-parse", ref(clone)), git(scene.bare, "count-objects")) == before
    assert snap(scene, scene.clone("tester")) is not None, "each run has its own"
    scene.workspace.drop_snapshot(PIPELINE, run_id=run_of(clone))
    assert not (scene.bare / "snapshots" / str(run_of(clone))).exists()


def test_commits_that_come_with_a_snapshot_count_in_what_it_may_bring(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_OF_RUN", 10 * snapshots.BLOCK)
    clone = scene.clone()
    head = commit(clone.path, {"large": os.urandom(50_000).hex()})

    assert snap(scene, clone) is None
    assert git(scene.bare, "cat-file", "-t", head, check=False) == ""


def test_large_files_that_come_with_a_snapshot_count_in_what_it_may_bring(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / ".gitattributes").write_text("*.bin filter=lfs\n")
    (clone.path / "a.bin").write_bytes(bytes(100_000))

    snap(scene, clone)

    allowed = allowance.Allowance.of(Git(scene.bare), run_of(clone))
    assert allowance.MOST_OF_RUN - allowed.left > 100_000


def test_a_snapshot_leaves_room_on_the_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "LEAST_FREE", 2**62)
    clone = scene.clone()

    with pytest.raises(NoRoom, match="no room for a snapshot"):
        snap(scene, clone)


def test_commits_on_another_branch_are_no_less_stray_for_a_snapshot_of_them(scene: Scene) -> None:
    clone = scene.clone()
    git(clone.path, "checkout", "-q", "-b", "side")
    side = commit(clone.path, {"side": "side\n"})
    snap(scene, clone)
    git(clone.path, "checkout", "-q", clone.branch)

    with pytest.raises(Conflict, match="branch side"):
        scene.take(clone)

    strays = scene.workspace.save_strays(PIPELINE, run_id=run_of(clone), clone=clone.path)
    assert git(scene.bare, "for-each-ref", "refs/heads", f"--contains={side}", "--format=x") == "x"
    assert len(strays.saved) == 1


def test_a_ready_after_a_snapshot_is_taken_as_without(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new\n")
    snap(scene, clone)
    head = commit(clone.path, {"new": "new\n"})
    snap(scene, clone)

    assert scene.take(clone) == head


def test_agents_are_given_no_snapshot(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new\n")
    snap(scene, clone)

    other = scene.clone("tester")

    assert "snapshots" not in git(other.path, "for-each-ref", "--format=%(refname)")


def test_what_is_saved_needs_no_snapshot_any_more(scene: Scene) -> None:
    clone = scene.clone()
    snap(scene, clone)

    for _ in range(2):
        scene.workspace.drop_snapshot(PIPELINE, run_id=run_of(clone))

    assert git(scene.bare, "for-each-ref", "refs/egg/snapshots") == ""


def test_before_a_pipeline_is_deleted_a_snapshot_is_named_that_nothing_else_holds(scene: Scene) -> None:
    clone = scene.clone()
    (clone.path / "new").write_text("new\n")
    snap(scene, clone)

    listed = scene.workspace.list_branches(PIPELINE, source=str(scene.source)).branches

    assert [(each.name, each.is_elsewhere) for each in listed if each.name.startswith("refs/")] == [
        (ref(clone), False)
    ]


RUNNER = ProcessRunner(Path("/nowhere"))


class Looks:
    """The one method of a workspace that is used, with what it is asked and a fault of some run."""

    def __init__(self, *, faulty: UUID | None = None, spent: UUID | None = None) -> None:
        self.faulty = faulty
        self.spent = spent
        self.seen: list[tuple[UUID, str]] = []
        self.is_seen = threading.Semaphore(0)

    def clone_of(self, run_id: UUID) -> Path:
        """Anywhere."""
        return Path("/nowhere") / str(run_id)

    def snapshot(self, *_: object, run_id: UUID, known: str, **__: object) -> str | None:
        """Note it."""
        self.seen.append((run_id, known))
        self.is_seen.release()
        if run_id == self.faulty:
            raise EggError("no")
        return None if run_id == self.spent else f"after {len(self.seen)}"


def test_all_runs_are_looked_at_in_turn_and_a_faulty_one_keeps_nobody_from_it() -> None:
    one, two = (AgentRun(id=UUID(int=n), pipeline_id=PIPELINE, role="coder") for n in (1, 2))
    looks = Looks(faulty=one.id)
    kept = Snapshots(looks, every=timedelta(milliseconds=40))  # type: ignore[arg-type]

    with kept.hold(one, RUNNER), kept.hold(two, RUNNER):
        for _ in range(6):
            assert looks.is_seen.acquire(timeout=20)

    of_two = [known for run, known in looks.seen if run == two.id]
    assert of_two[0] == ""
    assert of_two[1].startswith("after ")
    assert {run for run, _ in looks.seen} == {one.id, two.id}


def test_a_run_whose_snapshots_have_brought_all_they_may_is_looked_at_no_more() -> None:
    one, two = (AgentRun(id=UUID(int=n), pipeline_id=PIPELINE, role="coder") for n in (1, 2))
    looks = Looks(spent=one.id)
    kept = Snapshots(looks, every=timedelta(milliseconds=40))  # type: ignore[arg-type]

    with kept.hold(one, RUNNER), kept.hold(two, RUNNER):
        for _ in range(6):
            assert looks.is_seen.acquire(timeout=20)

    assert [run for run, _ in looks.seen].count(one.id) == 1


def test_a_check_and_a_pause_of_nothing_are_never_looked_at() -> None:
    looks = Looks()
    check = AgentRun(id=UUID(int=1), pipeline_id=PIPELINE, role=None)
    role = AgentRun(id=UUID(int=2), pipeline_id=PIPELINE, role="coder")

    with Snapshots(looks, every=timedelta(milliseconds=10)).hold(check, RUNNER):  # type: ignore[arg-type]
        assert not looks.is_seen.acquire(timeout=0.2)
    with Snapshots(looks, every=timedelta(0)).hold(role, RUNNER):  # type: ignore[arg-type]
        assert not looks.is_seen.acquire(timeout=0.2)
