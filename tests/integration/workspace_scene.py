"""A pipeline over a small real repository, and agents that treat their clones badly."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from egg_tasks.ports import Workspace
from egg_tasks.workspace import GitWorkspace
from models.schemas.git import Clone, Saved

PIPELINE = "issue-42"


def git(directory: Path, *arguments: str, check: bool = True) -> str:
    """Run git as an agent or a user would, with an identity and nothing of this machine's."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **identity}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, capture_output=True, check=False, timeout=60
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def commit(directory: Path, files: dict[str, str], message: str = "change") -> str:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", message)
    return git(directory, "rev-parse", "HEAD")


class Scene:
    """A prepared pipeline and what tests do in it."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.source = directory / "source"
        self.source.mkdir(parents=True)
        git(self.source, "init", "-q", "-b", "main")
        files = {"shop.py": "one\ntwo\nthree\n", "README": "shop\n", ".gitignore": "*.log\n"}
        self.base = commit(self.source, files, "base")
        self.workspace: Workspace = GitWorkspace(self.home)
        assert self.workspace.prepare(PIPELINE, source=str(self.source), base="main") == self.base
        self.bare = self.workspace.repository(PIPELINE)

    def clone(self, role: str = "coder", *, run_id: UUID | None = None, work: str | None = None) -> Clone:
        """A role's clone, of a new run unless given one."""
        return self.workspace.open_clone(
            PIPELINE, role=role, run_id=run_id or uuid4(), work_commit=work or self.base
        )

    def take(self, clone: Clone) -> str:
        """The commit taken from a clone."""
        return self.workspace.take(PIPELINE, run_id=run_of(clone), clone=clone.path).commit

    def salvage(self, clone: Clone) -> str | None:
        """The commit that holds a clone's work after it was salvaged."""
        saved = self.save(clone)
        return saved.commit if saved else None

    def save(self, clone: Clone, *, is_refused: bool = False) -> Saved | None:
        """What salvaging a clone returns."""
        return self.workspace.salvage(
            PIPELINE,
            role=clone.branch.rpartition("/")[2],
            run_id=run_of(clone),
            clone=clone.path,
            branch=clone.branch,
            is_refused=is_refused,
        )

    def tip(self, branch: str) -> str:
        """Where a branch of the pipeline's repository is; empty if nowhere."""
        return git(self.bare, "rev-parse", "--verify", "-q", f"refs/heads/{branch}", check=False)

    def saved(self, branch: str, path: str) -> bytes:
        """A file's bytes at the tip of a branch."""
        return subprocess.run(
            ["git", "cat-file", "blob", f"refs/heads/{branch}:{path}"],
            cwd=self.bare,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout


def run_of(clone: Clone) -> UUID:
    return UUID(clone.path.parent.name)


def together(actions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def advance(scene: Scene, role: str, files: dict[str, str]) -> str:
    """Commit as a role and bring its branch there."""
    clone = scene.clone(role)
    version = commit(clone.path, files)
    assert scene.take(clone) == version
    at = scene.tip(clone.branch) or None
    assert scene.workspace.move_branch(PIPELINE, branch=clone.branch, commit=version, expected=at)
    return version


def broken_head(clone: Path) -> None:
    (clone / ".git/HEAD").unlink()
    (clone / ".git/HEAD").symlink_to("/etc/passwd")


def git_elsewhere(clone: Path) -> None:
    (clone / ".git").rename(clone.parent / "elsewhere")
    (clone / ".git").symlink_to(clone.parent / "elsewhere")


def git_file(clone: Path) -> None:
    (clone / ".git").rename(clone.parent / "elsewhere")
    (clone / ".git").write_text(f"gitdir: {clone.parent}/elsewhere\n")


def other_alternates(clone: Path) -> None:
    (clone / ".git/objects/info/alternates").write_text("/etc\n")


def pipe_head(clone: Path) -> None:
    (clone / ".git/HEAD").unlink()
    os.mkfifo(clone / ".git/HEAD")


def circle(clone: Path) -> None:
    (clone / ".git/HEAD").write_text("ref: refs/heads/a\n")
    (clone / ".git/refs/heads/a").write_text("ref: refs/heads/a\n")


def nonsense(clone: Path) -> None:
    (clone / ".git/HEAD").write_text("f" * 40)


def no_objects(clone: Path) -> None:
    for path in (clone / ".git/objects").glob("??/*"):
        path.unlink()


BREAKAGES = [broken_head, git_elsewhere, git_file, other_alternates, pipe_head, circle, nonsense, no_objects]


def booby_trap(clone: Path, marker: Path) -> None:
    """Everything in a clone that makes git run something."""
    trap = clone / ".git/trap"
    trap.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    trap.chmod(0o755)
    (clone / ".git/hooks").mkdir(exist_ok=True)
    for hook in (
        "post-checkout", "pre-commit", "reference-transaction", "post-index-change", "fsmonitor-watchman",
        "post-merge", "pre-merge-commit", "update", "pre-receive", "post-update", "post-rewrite",
    ):  # fmt: skip
        (clone / ".git/hooks" / hook).symlink_to(trap)
    keys = (
        "core.fsmonitor", "filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.external",
        "diff.x.command", "diff.x.textconv", "merge.x.driver", "core.sshCommand", "core.pager", "core.editor",
        "core.alternateRefsCommand", "uploadpack.packObjectsHook", "gpg.program", "core.askPass",
        "credential.helper", "core.gitProxy", "alias.rev-parse",
    )  # fmt: skip
    with (clone / ".git/config").open("a") as config:
        for key in keys:
            section, _, name = key.rpartition(".")
            head, _, sub = section.partition(".")
            config.write(f"[{head}{f' {chr(34)}{sub}{chr(34)}' if sub else ''}]\n\t{name} = {trap}\n")
        config.write(f"[core]\n\thooksPath = {clone}/.git/hooks\n[commit]\n\tgpgSign = true\n")
    (clone / ".gitattributes").write_text("* filter=x diff=x merge=x\n")


def inner_repository(clone: Path, marker: Path) -> None:
    inner = clone / "vendored"
    inner.mkdir()
    git(inner, "init", "-q")
    commit(inner, {"inner.py": "inner\n"})
    booby_trap(inner, marker)
    (inner / "inner.py").write_text("changed\n")
