"""Repositories as people have them: what `egg validate` says of one and what a copy of it does agree."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from cli.definition_file import FaultyFile, check
from egg_tasks.workspace import GitWorkspace, incoming
from egg_tasks.workspace.reach import of_person
from models.errors import Rejected
from models.schemas.git import Merged
from tests.integration.workspace_scene import commit, git

RUN = UUID(int=7)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with some history; each commit has a file's content of its own."""
    path = tmp_path / "upstream"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    for number in (1, 2, 3):
        commit(path, {"data": f"data {number}\n", "README": "shop\n"}, f"change {number}")
    git(path, "config", "uploadpack.allowFilter", "true")
    return path


def clone(upstream: Path, name: str, *options: str) -> Path:
    path = upstream.with_name(name)
    git(upstream.parent, "clone", "-q", *options, f"file://{upstream}", str(path))
    return path


@dataclass(frozen=True)
class Desk:
    """Where a person writes definitions, and the home of their stack."""

    directory: Path

    @property
    def home(self) -> Path:
        """The stack's."""
        return self.directory / "home"

    def validated(self, repo: Path | str, base: str | None = None) -> str:
        """The commit that validate finds."""
        path = self.directory / "work.json"
        agent = {"backend": "command", "command": ["true"]}
        definition = {
            "version": 1,
            "repo": str(repo),
            "prompt": "Work.",
            "agents": {"coder": agent},
            "phases": [{"name": "build", "roles": [{"role": "coder"}]}],
        }
        path.write_text(json.dumps(definition | ({"base": base} if base else {})))
        return str(check(path).document["base_commit"])

    def fault(self, repo: Path | str, base: str | None = None) -> str:
        """What validate refuses; a worker's copy is refused in the same words."""
        with pytest.raises(FaultyFile) as caught:
            self.validated(repo, base)
        (line,) = caught.value.lines
        with pytest.raises(Rejected) as refused:
            GitWorkspace(self.home).prepare("refused", source=str(repo), base=base)
        assert refused.value.message in line
        assert not (self.home / "repos/refused.git").exists()
        return line

    def works(self, repo: Path, base: str | None = None) -> tuple[str, GitWorkspace]:
        """The commit that validate finds and that copies start from; a role's clone of it is whole."""
        found = self.validated(repo, base)
        reach = of_person(os.environ, is_attended=False)
        with incoming.fetched(self.home, source=str(repo), base=found, reach=reach) as fetched:
            assert fetched.commit == found
            fetched.keep("ours")
        workspace = GitWorkspace(self.home)
        assert workspace.prepare("ours", source=str(repo), base=base) == found
        assert workspace.prepare("workers", source=str(repo), base=base) == found
        clone = workspace.open_clone("ours", role="coder", run_id=RUN, work_commit=found)
        version = commit(clone.path, {"new": "new\n"})
        assert workspace.take("ours", run_id=RUN, clone=clone.path).commit == version
        assert git(clone.path, "fsck", "--full", "--connectivity-only") == ""
        merged = workspace.merge("ours", work=found, version=version, message="Merge")
        assert isinstance(merged, Merged)
        assert workspace.move_branch("ours", branch="egg/ours/work", commit=merged.commit, expected=found)
        return found, workspace


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A person's desk, whose git knows nobody."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return Desk(tmp_path)


# What a base may be


@pytest.mark.parametrize(
    ("base", "means"),
    [
        ("origin/main", "origin/main"),
        ("HEAD~1", "HEAD^"),
        ("@{upstream}", "origin/main"),
        ("v1^{commit}", "HEAD~1"),
        ("v1", "HEAD~1"),
        (":/change 2", "HEAD~1"),
        ("egg/earlier/work", "egg/earlier/work"),
        ("refs/remotes/origin/main", "origin/main"),
        (None, "HEAD"),
    ],
)
def test_a_base_is_what_git_understands_in_the_clone(
    desk: Desk, upstream: Path, base: str | None, means: str
) -> None:
    mine = clone(upstream, "mine")
    commit(upstream, {"ahead": "ahead\n"})
    git(mine, "fetch", "-q")
    git(mine, "tag", "-a", "v1", "-m", "one", "HEAD~1")
    git(mine, "branch", "egg/earlier/work", "HEAD~2")

    assert desk.works(mine, base)[0] == git(mine, "rev-parse", means)


def test_branches_of_an_earlier_pipeline_are_not_the_new_ones(desk: Desk, upstream: Path) -> None:
    git(upstream, "branch", "egg/ours/coder", "HEAD~1")
    git(upstream, "branch", "egg/ours/work", "HEAD~1")

    found, workspace = desk.works(upstream, "egg/ours/coder")

    listed = git(workspace.repository("ours"), "for-each-ref", "--format=%(refname)", "refs/heads/egg")
    assert listed.split() == ["refs/heads/egg/ours/work"]
    assert found == git(upstream, "rev-parse", "HEAD~1")


def test_a_detached_head_is_a_base(desk: Desk, upstream: Path) -> None:
    git(upstream, "checkout", "-q", "--detach")
    lonely = commit(upstream, {"lonely": "x"})

    assert desk.works(upstream)[0] == lonely


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("mian", "no branch, tag or commit `mian` in {path} (did you mean `main`?)"),
        ("HEAD~9", "no branch, tag or commit `HEAD~9` in {path}"),
        ("HEAD:data", "no branch, tag or commit `HEAD:data`"),
        ("main..HEAD", "no branch, tag or commit `main..HEAD`"),
        ("@{upstream}", "(no upstream configured for branch 'main')"),
    ],
)
def test_a_base_that_names_no_commit_is_refused(desk: Desk, upstream: Path, base: str, words: str) -> None:
    assert words.format(path=upstream) in desk.fault(upstream, base)


def test_an_unborn_head_is_refused_with_the_way_out(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")

    assert "has no commit yet; make one with `git commit`" in desk.fault(tmp_path / "new")
    assert "has no commit yet" in desk.fault(tmp_path / "new", "main")


def test_an_unborn_head_beside_a_branch_names_the_branch(desk: Desk, upstream: Path) -> None:
    git(upstream, "symbolic-ref", "HEAD", "refs/heads/other")

    assert desk.fault(upstream).endswith("name what to start from as `base`: main")


# What a repository may be


def test_a_bare_repository_works(desk: Desk, upstream: Path) -> None:
    desk.works(clone(upstream, "bare.git", "--bare"), "main~1")


def test_a_git_directory_works(desk: Desk, upstream: Path) -> None:
    desk.works(upstream / ".git")


def test_a_linked_worktree_starts_at_its_own_head(desk: Desk, upstream: Path, tmp_path: Path) -> None:
    git(upstream, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"), "HEAD~1")

    assert desk.works(tmp_path / "tree")[0] == git(upstream, "rev-parse", "HEAD~1")


def test_a_worktree_whose_repository_is_gone_is_refused(desk: Desk, upstream: Path, tmp_path: Path) -> None:
    git(upstream, "worktree", "add", "-q", str(tmp_path / "tree"))
    shutil.rmtree(upstream)

    assert "git worktree repair" in desk.fault(tmp_path / "tree")


def test_a_broken_repository_is_not_said_to_be_none(desk: Desk, upstream: Path) -> None:
    (upstream / ".git/HEAD").unlink()

    said = desk.fault(upstream)

    assert "cannot be read by git" in said
    assert "git init" not in said


def test_a_directory_of_a_bare_repository_is_refused(desk: Desk, upstream: Path) -> None:
    assert f"name its top, {upstream}/.git" in desk.fault(upstream / ".git/refs")


def test_a_sha256_repository_works(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.mkdir()
    git(path, "init", "-q", "-b", "main", "--object-format=sha256")
    commit(path, {"a": "a\n"})

    assert len(desk.works(path)[0]) == 64


def test_a_shallow_clone_works(desk: Desk, upstream: Path) -> None:
    mine = clone(upstream, "mine", "--depth", "1")

    desk.works(mine)

    assert "`git fetch --unshallow`" in desk.fault(mine, "HEAD~1")


def test_the_result_of_a_shallow_clone_can_be_fetched_into_it(desk: Desk, upstream: Path) -> None:
    mine = clone(upstream, "mine", "--depth", "1")
    _, workspace = desk.works(mine)
    bare = workspace.repository("ours")

    git(mine, "fetch", "-q", str(bare), "egg/ours/work:result")

    assert git(mine, "log", "-1", "--format=%s", "result").startswith("Merge")


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_a_partial_clone_gets_what_it_lacks_into_the_copy_alone(
    desk: Desk, upstream: Path, kind: str
) -> None:
    mine = clone(upstream, "mine", f"--filter={kind}")
    commit(mine, {"data": "mine\n"})
    before = sorted(path.name for path in (mine / ".git/objects").rglob("*"))

    found, workspace = desk.works(mine)

    bare = workspace.repository("ours")
    assert git(bare, "rev-list", "--objects", "--missing=print", found).count("?") == 0
    assert sorted(path.name for path in (mine / ".git/objects").rglob("*")) == before


def test_a_partial_clone_without_its_remote_is_refused_and_the_cure_cures(desk: Desk, upstream: Path) -> None:
    mine = clone(upstream, "mine", "--filter=blob:none")
    upstream.rename(upstream.with_name("elsewhere"))

    said = desk.fault(mine)

    assert "is a partial clone" in said
    upstream.with_name("elsewhere").rename(upstream)
    command = said.partition("`")[2].partition("`")[0].split()
    git(upstream.parent, *command[1:])
    upstream.rename(upstream.with_name("elsewhere"))
    desk.works(mine)


def test_a_clone_with_alternates_works_until_they_are_gone(desk: Desk, upstream: Path) -> None:
    mine = clone(upstream, "mine", "--reference", str(upstream))
    desk.works(mine)
    upstream.rename(upstream.with_name("elsewhere"))

    assert f"borrows objects from {upstream}/.git/objects, which is not there" in desk.fault(mine)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_account_works_and_none_of_its_settings_run(
    desk: Desk, upstream: Path
) -> None:
    marker = upstream.with_name("marker")
    trap = upstream.with_name("trap")
    trap.write_text(f"#!/bin/sh\ntouch {marker}\n")
    trap.chmod(0o755)
    mine = clone(upstream, "mine", "--filter=blob:none")
    for key in ("core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "filter.x.clean"):
        git(mine, "config", key, str(trap))
    git(mine, "config", "remote.origin.uploadpack", str(trap))
    (mine / ".gitattributes").write_text("* filter=x\n")
    (mine / "README").write_text("changed\n")
    for path in [mine, *mine.rglob("*")]:
        os.lchown(path, 65534, 65534)

    desk.works(mine)

    assert not marker.exists()
