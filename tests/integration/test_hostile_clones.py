"""READY and salvage of clones that were made to stop whoever looks at them: others never notice."""

import os
import re
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from shutil import which
from uuid import UUID

import pytest

from egg_tasks.adapters import workspace
from egg_tasks.workspace import bounds, sources, staging
from egg_tasks.workspace.obstacles import obstacles
from models.errors import Conflict, EggError
from tests.integration import hostile_clones as hostile
from tests.integration.api_scene import NAME, Answer, Scene
from tests.integration.hostile_clones import Harm
from tests.integration.workspace_scene import PIPELINE, commit, git, run_of
from tests.integration.workspace_scene import Scene as Disk

LARGEST_ANSWER = 64 * 1024
MOST_HELD = 64 * 1024 * 1024
"""Bytes of ours that one look may need."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def names(harm: Harm) -> str:
    return harm.__name__.replace("/", "-")


@pytest.mark.parametrize("harm", [*hostile.STOPS, *hostile.BOMBS], ids=names)
def test_ready_of_a_clone_that_would_stop_git_is_refused_by_name(shop: Scene, harm: Harm) -> None:
    words = harm(shop.clone("coder"))

    tracemalloc.start()
    answer = shop.say("coder", "READY")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status == 409
    assert re.search(words, answer.body["message"]), answer.body["message"]
    assert len(str(answer.body)) < LARGEST_ANSWER
    assert most < MOST_HELD
    assert shop.say("tester", "READY").status == 200
    assert not list((shop.home / "repos" / f"{NAME}.git/looks").iterdir())


@pytest.mark.parametrize("harm", [*hostile.STOPS, *hostile.BOMBS], ids=names)
def test_salvage_of_a_clone_that_would_stop_git_ends_and_loses_no_commit_it_could_read(
    disk: Disk, harm: Harm
) -> None:
    clone = disk.clone()
    version = commit(clone.path, {"good": "good"})
    disk.take(clone)
    assert disk.workspace.move_branch(PIPELINE, branch=clone.branch, commit=version, expected=None)
    (clone.path / "left").write_text("left")
    harm(clone.path)

    saved = disk.save(clone)
    disk.workspace.save_strays(PIPELINE, run_id=run_of(clone), clone=clone.path)

    assert saved
    assert git(disk.bare, "merge-base", version, saved.commit) == version
    is_saved = "left" in git(disk.bare, "ls-tree", "--name-only", disk.tip(clone.branch)).split()
    assert is_saved or saved.kept


def test_forty_five_readys_with_a_pipe_for_an_index_leave_the_api_to_others(shop: Scene) -> None:
    hostile.pipe(".git/index")(shop.clone("coder"))

    with ThreadPoolExecutor(45) as many:
        answers = list(many.map(lambda _: shop.say("coder", "READY"), range(45)))

    assert {answer.status for answer in answers} <= {409, 429}
    assert shop.say("tester", "READY").status == 200


def slow_git(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Have git wait in the coder's clone: a file that says it does, and the one it waits for."""
    there, go = shop.home / "there", shop.home / "go"
    program = shop.home / "bin/git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$PWD" in {shop.clone("coder")}*) echo $$ >>{there}\n'
        f'while ! test -e {go}; do sleep 0.05; done;; esac\nexec {which("git")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return there, go


def until(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.02)


def test_while_one_clone_is_looked_at_others_are_and_its_own_run_is_told_to_wait(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.commit("coder", "shop.py")
    there, go = slow_git(shop, monkeypatch)

    with ThreadPoolExecutor(1) as one:
        first = one.submit(shop.say, "coder", "READY")
        until(there)
        again = shop.say("coder", "READY")
        synced = shop.ask("POST", f"/pipelines/{NAME}/sync", {}, who="coder")
        other = shop.say("tester", "READY")
        go.touch()
        said = first.result()

    assert (said.status, other.status) == (200, 200)
    assert (again.status, synced.status) == (429, 429)
    assert "looked at" in again.body["message"]
    assert again.headers["retry-after"]


def test_a_look_that_comes_to_no_end_is_given_up_with_all_it_has_started(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace(), "_look_limit", timedelta(seconds=1))
    shop.commit("coder", "shop.py")
    there, _ = slow_git(shop, monkeypatch)
    threads = threading.active_count()

    answer = shop.say("coder", "READY")

    assert answer.status == 503
    assert "took longer than" in answer.body["message"]
    assert "EGG_LOOK_SECONDS" in answer.body["message"]
    assert not any(Path("/proc", pid).exists() for pid in there.read_text().split())
    assert shop.say("tester", "READY").status == 200
    assert threading.active_count() <= threads + 2


def test_an_answer_names_a_hundred_paths_and_how_many_more_there_are(shop: Scene) -> None:
    for number in range(2000):
        (shop.clone("coder") / f"{'n' * 200}-{number}").write_text("x")

    answer: Answer = shop.say("coder", "READY")

    assert answer.status == 409
    assert (len(answer.body["details"]["paths"]), answer.body["details"]["more"]) == (100, 1900)
    assert "and 1980 more" in answer.body["message"]


def test_a_refused_bomb_leaves_nothing_in_the_pipelines_repository(disk: Disk) -> None:
    clone = disk.clone()
    hostile.a_terabyte_in_a_megabyte(clone.path)
    packs = sorted((disk.bare / "objects/pack").iterdir())

    with pytest.raises(EggError):
        disk.take(clone)

    assert sorted((disk.bare / "objects/pack").iterdir()) == packs


def test_a_bomb_that_came_along_with_a_good_version_is_refused_when_it_is_gone_back_to(disk: Disk) -> None:
    clone = disk.clone()
    hostile.a_million_paths_in_seven_objects(clone.path)
    bomb = git(clone.path, "rev-parse", "HEAD")
    git(
        clone.path,
        "reset",
        "-q",
        "--soft",
        git(clone.path, "commit-tree", "HEAD~1^{tree}", "-p", bomb, "-m", "good"),
    )
    disk.take(clone)

    git(clone.path, "reset", "-q", "--soft", bomb)

    with pytest.raises(Conflict, match=r"more than 25000\d files"):
        disk.take(clone)


def test_hundreds_of_commits_merged_from_upstream_are_no_more_than_their_head(disk: Disk) -> None:
    clone = disk.clone()
    folder = b"".join(b"M 100644 inline icons/%d\ndata 1\nx\n" % number for number in range(1000))
    history = b"".join(
        b"commit refs/heads/upstream\ncommitter a <a@b> %d +0000\ndata 1\nx\n"
        b"%sM 100644 inline icons/0\ndata 3\n%d\n"
        % (1_700_000_000 + number, folder if number == 100 else b"", number)
        for number in range(100, 650)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=clone.path, input=history, check=True)
    git(clone.path, "merge", "-q", "--allow-unrelated-histories", "-m", "upstream", "upstream")

    assert disk.take(clone) == git(clone.path, "rev-parse", "HEAD")


def test_a_submodule_may_be_called_as_a_folder_of_gits_and_git_may_have_been_interrupted(
    tmp_path: Path,
) -> None:
    for name in ("refs", "docs/info", "lfs"):
        module = tmp_path / ".git/modules" / name
        (module / "objects/pack").mkdir(parents=True)
        (module / "refs").mkdir()
        (module / "HEAD").write_text("ref: refs/heads/main\n")
        (module / "index").write_bytes(bytes(2 * 1024 * 1024))
        with (module / "objects/pack/tmp_pack_x1y2z3").open("wb") as left:
            left.truncate(3 * 1024**3)
    (tmp_path / ".git/modules/refs/refs/.DS_Store").write_bytes(bytes(6148))

    assert obstacles(tmp_path) == []

    with (tmp_path / ".git/modules/refs/refs/main").open("wb") as giant:
        giant.truncate(2048)
    assert [each.path for each in obstacles(tmp_path)] == [".git/modules/refs/refs/main"]


def test_what_a_repository_began_with_is_never_too_much(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egg_tasks.workspace.weights.LARGEST_FILE", 8)
    clone = disk.clone()

    version = commit(clone.path, {"new": "new"})

    assert disk.take(clone) == version


def test_the_api_still_looks_after_a_look_has_failed(shop: Scene) -> None:
    undo = shop.clone("coder") / ".git/refs/heads/x"
    hostile.pipe(".git/refs/heads/x")(shop.clone("coder"))
    for _ in range(30):
        assert shop.say("coder", "READY").status in {409, 429}
    undo.unlink()
    shop.commit("coder", "shop.py")

    answer = shop.say("coder", "READY")
    while answer.status == 429:
        time.sleep(float(answer.headers["retry-after"]))
        answer = shop.say("coder", "READY")

    assert answer.status == 200
    assert workspace().find_branch(NAME, branch=f"egg/{NAME}/coder")


def counting_git(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Path:
    """Have each git write its first word down; where."""
    program, count = directory / "bin/git", directory / "count"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >>{count}\nexec {which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return count


def many_plain(clone: Path, number: int) -> None:
    (clone / f"{number}.txt").write_text(str(number))


def many_large(clone: Path, number: int) -> None:
    (clone / ".gitattributes").write_text("*.bin filter=lfs\n")
    (clone / f"{number}.bin").write_text(str(number))


def many_that_git_refuses(clone: Path, number: int) -> None:
    (clone / str(number)).mkdir()
    (clone / str(number) / "git~1").write_text(str(number))


@pytest.mark.parametrize(
    "many", [many_plain, many_large, many_that_git_refuses], ids=lambda one: one.__name__
)
def test_salvage_of_ten_times_the_files_starts_no_more_gits(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: Callable[[Path, int], None]
) -> None:
    monkeypatch.setattr(staging, "MOST_FAILURES", 10)
    count, started = counting_git(monkeypatch, tmp_path), []
    for files in (100, 1000):
        clone = disk.clone()
        for number in range(files):
            many(clone.path, number)
        count.unlink(missing_ok=True)

        saved = disk.save(clone)

        assert saved
        assert len(saved.kept) <= staging.MOST_REPORTED + 1
        started.append(len(count.read_text().split()))
        assert disk.tip(clone.branch)
    assert started[1] < started[0] + 20


def test_while_a_run_is_salvaged_others_say_ready(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop.clone("coder") / "left").write_text("left")
    there, go = slow_git(shop, monkeypatch)
    run = UUID(shop.clone("coder").parent.name)
    branch = f"egg/{NAME}/coder"

    with ThreadPoolExecutor(1) as one:
        saving = one.submit(
            workspace().salvage, NAME, role="coder", run_id=run, clone=shop.clone("coder"), branch=branch
        )
        until(there)
        shop.commit("tester", "test.py")
        answer = shop.say("tester", "READY")
        go.touch()
        saved = saving.result()

    assert answer.status == 200
    assert saved
    assert workspace().find_branch(NAME, branch=branch) == saved.commit


def test_holes_of_large_files_stay_holes_and_remains_of_killed_copies_go(disk: Disk) -> None:
    clone = disk.clone()
    size = 512 * 1024 * 1024
    with (clone.path / "large.bin").open("wb") as file:
        file.truncate(size)
    (clone.path / ".gitattributes").write_text("*.bin filter=lfs\n")
    remains = disk.bare / "lfs/tmp/remains"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"x")
    os.utime(remains, (0, 0))

    saved = disk.save(clone)

    assert saved
    assert saved.kept == ()
    (kept,) = (path for path in (disk.bare / "lfs/objects").rglob("*") if path.is_file())
    assert (kept.stat().st_size, kept.stat().st_blocks) == (size, 0)
    assert not remains.exists()


def test_the_filters_of_an_agents_clone_are_not_run_as_the_person(disk: Disk, tmp_path: Path) -> None:
    clone = disk.clone()
    ran = tmp_path / "ran"
    git(clone.path, "config", "filter.x.clean", f"touch {ran}; cat")
    (clone.path / ".gitattributes").write_text("* filter=x\n")
    (clone.path / "README").write_text("changed")

    assert sources.visit(clone.path).uncommitted() is None
    assert not ran.exists()


def test_a_thousand_links_cost_as_many_gits_as_ten(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for copy in ("one", "two"):
        git(disk.bare, "init", "-q", "--bare", f"modules/{copy}")
    count, started = counting_git(monkeypatch, tmp_path), []
    for number in (10, 999):
        clone = disk.clone()
        for n in range(number):
            (clone.path / f"link{n}").mkdir()
        lines = "".join(f"160000 {n + 1:040x}\tlink{n}\0" for n in range(number))
        update = ["git", "update-index", "-z", "--index-info"]
        subprocess.run(update, cwd=clone.path, input=lines.encode(), check=True)
        git(clone.path, "commit", "-q", "-m", "links")
        count.unlink(missing_ok=True)

        with pytest.raises(Conflict, match="links to commits that nobody else has"):
            disk.take(clone)

        started.append(len(count.read_text().split()))
    assert started[1] < started[0] + 5


def test_git_gets_no_more_memory_than_a_look_may_have_whatever_is_in_a_pack(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_MEMORY", 96 * 1024 * 1024)
    clone = disk.clone()
    words = hostile.a_quarter_of_a_gigabyte_by_copying(clone.path)
    (clone.path / "left").write_text("left")

    with pytest.raises(Conflict, match=words):
        disk.take(clone)
    saved = disk.save(clone)

    assert saved
    assert disk.saved(clone.branch, "left") == b"left"
    assert "what only its commits hold" in " ".join(saved.kept)
