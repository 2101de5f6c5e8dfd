"""The work of a pipeline comes into the person's repository, and nothing else there changes."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from cli import work_branch
from egg_tasks.workspace import GitWorkspace
from tests.integration.workspace_scene import commit, git

NAME = "issue-42"
BRANCH = f"egg/{NAME}"


@dataclass(frozen=True)
class Home:
    """A person's repository, and a pipeline that began from it and is over."""

    shop: Path
    bare: Path
    commit: str

    def pipeline(self, **more: object) -> dict[str, Any]:
        """What the API tells of it."""
        return {
            "id": NAME,
            "status": "complete",
            "repo": str(self.shop),
            "base": "main",
            "work_branch": f"{BRANCH}/work",
            "work_commit": self.commit,
            "repository": str(self.bare),
            **more,
        }

    def state(self) -> Mapping[str, object]:
        """All that is a person's: files, index, configuration, HEAD, refs and their logs."""
        kept = [path for path in self.shop.rglob("*") if path.is_file() and "objects" not in path.parts]
        return {str(path.relative_to(self.shop)): path.read_bytes() for path in kept}

    def heads(self) -> list[str]:
        """The branches there are."""
        return git(self.shop, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()


def prepared(shop: Path, stack: Path) -> Home:
    """A pipeline that began from *shop*, at its end: there is one commit more on its work branch."""
    workspace = GitWorkspace(stack)
    workspace.prepare(NAME, source=str(shop), base="main")
    bare = workspace.repository(NAME)
    tree = git(bare, "mktree", "--missing")
    made = git(bare, "commit-tree", tree, "-p", f"{BRANCH}/work", "-m", "the work")
    git(bare, "update-ref", f"refs/heads/{BRANCH}/work", made)
    return Home(shop, bare, made)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    shop = tmp_path / "shop"
    shop.mkdir()
    git(shop, "init", "-q", "-b", "main")
    commit(shop, {"cart.py": "one\n"})
    monkeypatch.chdir(tmp_path)
    for name, value in {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    return prepared(shop, tmp_path / "stack")


def typed(said: str, place: Path) -> list[str]:
    """Type every command of a text where it was printed; what each said."""
    commands = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    environment = os.environ | {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    environment |= {"GIT_COMMITTER_EMAIL": "a@b", "GIT_PAGER": "cat"}
    answers = []
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        answers.append(done.stdout)
    return answers


def test_it_is_a_branch_of_the_persons_and_nothing_else_changes(home: Home) -> None:
    (home.shop / "cart.py").write_text("half done\n")
    (home.shop / "new.py").write_text("mine\n")
    before = home.state()

    said = work_branch.bring(home.pipeline())

    after = home.state()
    new = {path for path in after if path not in before}
    assert new == {f".git/refs/heads/{BRANCH}", f".git/logs/refs/heads/{BRANCH}"}
    assert {path: after[path] for path in before} == before
    assert git(home.shop, "rev-parse", BRANCH) == home.commit
    assert said == (
        f"The work is in your repository, on branch {BRANCH} at {home.commit[:10]}:\n"
        f"  git -C shop diff main...{BRANCH}\n"
        f"  git -C shop merge {BRANCH}"
    )


def test_what_is_printed_can_be_typed_where_it_was_printed(home: Home) -> None:
    diff, _ = typed(work_branch.bring(home.pipeline()), home.shop.parent)

    assert "-one" in diff
    assert git(home.shop, "rev-parse", "main") == home.commit


def test_it_is_short_in_the_repository_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.shop)

    said = work_branch.bring(home.pipeline())

    assert f"  git diff main...{BRANCH}\n  git merge {BRANCH}" in said
    typed(said, home.shop)


def test_the_report_may_be_asked_for_again(home: Home) -> None:
    first = work_branch.bring(home.pipeline())
    before = home.state()

    assert work_branch.bring(home.pipeline()) == first
    assert home.state() == before


def test_what_is_merged_and_its_branch_deleted_is_not_brought_again(home: Home) -> None:
    work_branch.bring(home.pipeline())
    git(home.shop, "merge", "-q", BRANCH)
    git(home.shop, "branch", "-d", BRANCH)
    git(home.shop, "branch", "another")

    said = work_branch.bring(home.pipeline())

    assert said == f"The work is in your repository already: branch main holds {home.commit[:10]}."
    assert home.heads() == ["another", "main"]


def test_a_branch_the_person_went_on_with_stays_and_holds_the_work(home: Home) -> None:
    work_branch.bring(home.pipeline())
    git(home.shop, "checkout", "-q", BRANCH)
    mine = commit(home.shop, {"more.py": "more\n"})

    said = work_branch.bring(home.pipeline())

    assert f"on branch {BRANCH}" in said
    assert git(home.shop, "rev-parse", BRANCH) == mine


@pytest.mark.parametrize(
    ("theirs", "free"),
    [
        (BRANCH, f"{BRANCH}-2"),
        (f"{BRANCH}/work", f"{BRANCH}-2"),
        ("egg", f"egg-{NAME}"),
    ],
)
def test_a_branch_in_the_way_is_left_alone_and_another_name_is_offered(
    home: Home, theirs: str, free: str
) -> None:
    git(home.shop, "branch", theirs)
    before = home.state()

    said = work_branch.bring(home.pipeline())

    assert home.state() == before
    assert f"It was not brought to {home.shop}: " in said
    assert f" branch {theirs}" in said
    typed(said, home.shop.parent)
    assert git(home.shop, "rev-parse", free) == home.commit
    assert git(home.shop, "rev-parse", theirs) == git(home.shop, "rev-parse", "main")


def test_a_branch_that_is_checked_out_and_has_no_commit_is_not_made(home: Home) -> None:
    git(home.shop, "checkout", "-q", "--orphan", BRANCH)

    said = work_branch.bring(home.pipeline())

    assert f"it has a branch {BRANCH} with other work. By hand:" in said
    assert home.heads() == ["main"]


def test_a_branch_that_is_made_meanwhile_is_not_moved(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tmp_path / "quick/git"
    quick.parent.mkdir()
    real, make = which("git"), f"-C {home.shop} branch {BRANCH}"
    quick.write_text(f'#!/bin/sh\ncase "$*" in *update-ref*) {real} {make};; esac\nexec {real} "$@"\n')
    quick.chmod(0o755)
    monkeypatch.setenv("PATH", f"{quick.parent}:{os.environ['PATH']}")

    said = work_branch.bring(home.pipeline())

    assert f"it has a branch {BRANCH} with other work" in said
    assert git(home.shop, "rev-parse", BRANCH) == git(home.shop, "rev-parse", "main")


def test_no_hook_of_the_persons_runs_and_no_setting_prunes_or_packs(home: Home, tmp_path: Path) -> None:
    for hook in ("reference-transaction", "post-checkout", "post-merge"):
        program = home.shop / ".git" / "hooks" / hook
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        program.chmod(0o755)
    for setting in ("fetch.prune=true", "fetch.pruneTags=true", "gc.auto=1", "fetch.recurseSubmodules=true"):
        git(home.shop, "config", *setting.split("="))
    git(home.shop, "config", "fetch.writeCommitGraph", "true")
    git(home.shop, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    git(home.shop, "update-ref", "refs/remotes/origin/topic", "main")
    git(home.shop, "tag", "mine")
    (tmp_path / "ran").unlink()  # by the lines before
    before = home.state()

    work_branch.bring(home.pipeline())

    after = home.state()
    assert not (tmp_path / "ran").exists()
    assert {path: after[path] for path in before} == before
    assert not list(home.shop.glob(".git/objects/info/commit-graph*"))


def test_the_repository_git_was_sent_to_by_a_variable_is_not_taken_for_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))

    work_branch.bring(home.pipeline())

    assert git(home.shop, "rev-parse", BRANCH) == home.commit


def test_a_bare_repository_gets_it_and_is_told_of_no_merge(home: Home, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(home.shop), "upstream.git")

    said = work_branch.bring(home.pipeline(repo=str(tmp_path / "upstream.git")))

    assert git(tmp_path / "upstream.git", "rev-parse", BRANCH) == home.commit
    assert said.endswith(f"\n  git -C upstream.git diff main...{BRANCH}")
    typed(said, tmp_path)


def test_a_linked_worktree_gets_it(home: Home, tmp_path: Path) -> None:
    git(home.shop, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "topic")

    said = work_branch.bring(home.pipeline(repo=str(tmp_path / "tree"), base="topic"))

    assert git(home.shop, "rev-parse", BRANCH) == home.commit
    assert f"  git -C tree diff topic...{BRANCH}" in said
    typed(said, tmp_path)


def test_a_shallow_repository_stays_as_shallow_as_it_was(home: Home, tmp_path: Path) -> None:
    commit(home.shop, {"cart.py": "two\n"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{home.shop}", "shallow")
    boundary = (tmp_path / "shallow/.git/shallow").read_text()
    full = prepared(home.shop, tmp_path / "another stack")

    said = work_branch.bring(full.pipeline(repo=str(tmp_path / "shallow")))

    assert git(tmp_path / "shallow", "rev-parse", BRANCH) == full.commit
    assert (tmp_path / "shallow/.git/shallow").read_text() == boundary
    typed(said, tmp_path)


def test_what_began_from_a_shallow_repository_comes_back_to_it(home: Home, tmp_path: Path) -> None:
    commit(home.shop, {"cart.py": "two\n"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{home.shop}", "shallow")
    shallow = prepared(tmp_path / "shallow", tmp_path / "another stack")

    said = work_branch.bring(shallow.pipeline())

    assert git(tmp_path / "shallow", "rev-parse", BRANCH) == shallow.commit
    typed(said, tmp_path)


@pytest.mark.parametrize("base", ["HEAD~0", "mine", "origin/topic", None], ids=str)
def test_the_difference_is_shown_from_whatever_it_began_from(home: Home, base: str | None) -> None:
    git(home.shop, "update-ref", "refs/remotes/origin/topic", "main")
    git(home.shop, "tag", "mine")

    said = work_branch.bring(home.pipeline(base=base))

    assert f"{base or 'main'}...{BRANCH}" in said
    assert "-one" in typed(said, home.shop.parent)[0]


def test_a_base_that_is_gone_is_not_named(home: Home) -> None:
    said = work_branch.bring(home.pipeline(base="gone"))

    assert f"  git -C shop log --stat {BRANCH}\n" in said
    typed(said, home.shop.parent)


def test_a_tag_of_the_same_name_is_not_taken_for_the_branch(home: Home) -> None:
    git(home.shop, "tag", BRANCH)

    said = work_branch.bring(home.pipeline())

    assert "-one" in typed(said, home.shop.parent)[0]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_is_not_complete_is_not_brought_but_can_be(home: Home, status: str) -> None:
    before = home.state()

    said = work_branch.bring(home.pipeline(status=status))

    assert home.state() == before
    assert said.startswith(
        f"The work is on {BRANCH}/work at {home.commit[:10]}; to have it in your repository:"
    )
    typed(said, home.shop.parent)
    assert git(home.shop, "rev-parse", BRANCH) == home.commit


def test_what_came_from_a_url_is_fetched_by_hand(home: Home) -> None:
    said = work_branch.bring(home.pipeline(repo="https://example.org/shop.git"))

    assert "; in a clone of https://example.org/shop.git:\n" in said
    typed(said, home.shop)
    assert git(home.shop, "rev-parse", BRANCH) == home.commit


def test_large_files_are_copied_by_hand_where_the_work_is(home: Home) -> None:
    (home.bare / "lfs/objects/12/34").mkdir(parents=True)
    (home.bare / "lfs/objects/12/34/1234").write_text("large")
    git(home.shop, "branch", BRANCH)

    typed(work_branch.bring(home.pipeline()), home.shop.parent)

    assert (home.shop / ".git/lfs/objects/12/34/1234").read_text() == "large"


def test_a_repository_of_another_machine_is_named(home: Home) -> None:
    said = work_branch.bring(home.pipeline(repository="/nowhere/bare.git"))

    assert said == (
        f"The work is on {BRANCH}/work at {home.commit[:10]} in /nowhere/bare.git, "
        "which cannot be read from here."
    )


@pytest.mark.parametrize("gone", ["repository", "git"])
def test_what_cannot_be_done_is_said_with_its_reason(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    if gone == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        home.shop.rename(tmp_path / "moved")

    said = work_branch.bring(home.pipeline())

    assert "No such file or directory" in said
    assert "By hand:" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write to what is somebody else's")
def test_root_leaves_nothing_in_a_repository_of_somebody_else(home: Home) -> None:
    for path in [home.shop, *home.shop.rglob("*")]:
        os.chown(path, 65534, 65534)
    before = home.state()

    said = work_branch.bring(home.pipeline())

    assert home.state() == before
    assert "who could not write to what root leaves in it. By hand:" in said
    commands = said.splitlines()[1:3]
    typed("\n".join(commands), home.shop.parent)
    assert {path.stat().st_uid for path in home.shop.rglob("*")} == {65534}
    assert (home.shop / ".git/refs/heads" / BRANCH).read_text().strip() == home.commit
