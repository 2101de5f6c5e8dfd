"""egg sync: bring the others' merged work into this clone."""

import subprocess

import click

from cli import options, render, server, shell
from egg_tasks.protocol import LOOK_SECONDS
from models.errors import Conflict, Malformed, Unavailable
from models.foreign import named
from models.git_names import work_branch


@click.command()
@options.own_pipeline
@options.output
def sync(*, pipeline: str, output: str) -> None:
    """Merge the work branch into your clone.

    Also records which versions of the others you have seen.

    Example:  egg sync
    """
    clone = shell.clone()
    if not clone:
        raise Malformed("EGG_REPO_PATH is not set: egg starts agents with the path of their clone")
    merge(clone, branch=f"origin/{work_branch(pipeline)}")
    synced = server.agent().post(f"/pipelines/{pipeline}/sync", repeatable=True, seconds=LOOK_SECONDS)
    seen = ", ".join(f"{role} version {number}" for role, number in sorted(synced["seen"].items()))
    render.answer(synced, f"{synced['head']} has seen {seen or 'nobody yet'}", output=output)


def merge(clone: str, *, branch: str) -> None:
    """Fetch and merge *branch*; `Conflict` naming the paths and the way out when it does not go."""
    fetched = _git(clone, "fetch", "--quiet", "origin")
    if fetched.returncode:
        raise Unavailable(f"git fetch origin failed in {clone}: {_last(fetched.stderr)}")
    merged = _git(clone, "merge", "--quiet", "--no-edit", branch)
    if merged.returncode == 0:
        return
    paths = _git(clone, "diff", "-z", "--name-only", "--diff-filter=U").stdout.split("\0")[:-1]
    if not paths:
        raise Conflict(f"git merge {branch} failed in {clone}: {_last(merged.stderr or merged.stdout)}")
    raise Conflict(
        f"merging {branch} conflicts in {named(paths)}: "
        "resolve them, `git add` them, `git commit --no-edit`, then `egg sync` again"
    )


def _git(clone: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # What git says names files, and a file's name may be any bytes.
    return subprocess.run(
        ["git", "-C", clone, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )


def _last(text: str) -> str:
    """What git said, on one line."""
    return "; ".join(line.strip() for line in text.strip().splitlines()[-3:]) or "git said nothing"
