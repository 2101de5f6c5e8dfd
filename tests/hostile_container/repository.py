"""What lies in wait in a clone for whoever looks at it: programs for our git to run, ways to what is others'.

The agent leaves it there; then the test looks as egg does, and, in the control, as a person's git would.
"""

import os
import stat
import subprocess
from pathlib import Path

from tests.hostile_container.attempt import HOLDS, looked_at

DEPTH = 1200
HOOKS = (
    "pre-commit", "post-commit", "post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc",
    "fsmonitor-watchman", "post-merge", "pre-push", "commit-msg", "prepare-commit-msg",
)  # fmt: skip
PROGRAMS = {
    "hook": "hooks",
    "fsmonitor": "`core.fsmonitor`",
    "filter": "a filter (`clean`, `smudge`, `process`)",
    "diff": "a driver that shows differences (`textconv`, `diff.external`)",
    "editor": "editor, pager, askpass and ssh commands",
    "signer": "the program that signs (`gpg.program`)",
    "included": "configuration that is included from elsewhere",
}
"""Where git finds programs to run; each leaves a mark of its own where it is run."""
for _name, _words in PROGRAMS.items():
    looked_at(f"git_{_name}", f"git: {_words}", wall="git", process=HOLDS)
looked_at("git_alternates", "git: objects borrowed from where another agent's are", wall="git", process=HOLDS)
looked_at("git_link", "git: a link where a folder of .git was", wall="git", process=HOLDS)
looked_at("link_in_work", "a link out of the clone, to be read into a commit", wall="git", process=HOLDS)
looked_at("submodule", "a submodule that leads out of the clone", wall="git", process=HOLDS)
looked_at("pit", "folders so deep that they cannot be removed", wall="removal", process=HOLDS)
looked_at("told_link", "a link where egg writes what the agent is told", wall="given", process=HOLDS)


def lay(clone: Path, marks: str) -> None:
    """Have every program that git could run in a clone leave a mark in *marks*."""

    def program(name: str) -> Path:
        place = clone / f".git/{name}-program"
        place.write_text(f"#!/bin/sh\necho run >> {marks}/{name}\ncat 2>/dev/null\nexit 0\n")
        place.chmod(0o755)
        # By a path that leads there from within as from without.
        return place.relative_to(clone)

    hook = clone / program("hook")
    (clone / ".git/hooks").mkdir(exist_ok=True)
    for name in HOOKS:
        target = clone / ".git/hooks" / name
        target.write_bytes(hook.read_bytes())
        target.chmod(stat.S_IRWXU)
    shown, filtered, edited = program("diff"), program("filter"), program("editor")
    (clone / ".git/more").write_text(
        f"[core]\n\tsshCommand = {edited}\n[alias]\n\tst = !{program('included')}\n"
    )
    with (clone / ".git/config").open("a") as config:
        config.write(f"""
[core]
	fsmonitor = {program("fsmonitor")}
	pager = {edited}
	editor = {edited}
	askPass = {edited}
[filter "x"]
	clean = {filtered}
	smudge = {filtered}
	required = true
[diff "x"]
	textconv = {shown}
	command = {shown}
[commit]
	gpgSign = true
[gpg]
	program = {program("signer")}
[include]
	path = more
""")
    (clone / ".gitattributes").write_text("*.txt filter=x diff=x\n")
    (clone / "more.txt").write_text("more\n")
    (clone / "kept.txt").write_text("changed\n")


def link_to(clone: Path, bait: str) -> None:
    """Put a link to what is another's into the work."""
    (clone / "link.txt").symlink_to(bait)
    (clone / "folder").symlink_to(Path(bait).parent)


def borrow(clone: Path, others: str) -> None:
    """Borrow the objects of another agent, and call its commit one's own."""
    folder, _, commit = others.partition(" ")
    (clone / ".git/objects/info/alternates").write_text(f"{folder}/.git/objects\n")
    (clone / ".git/HEAD").write_text(f"{commit}\n")


def replace(clone: Path, others: str) -> None:
    """Have a link where one's own objects were."""
    folder, _, commit = others.partition(" ")
    (clone / ".git/objects").rename(clone / ".git/aside")
    (clone / ".git/objects").symlink_to(f"{folder}/.git/objects")
    (clone / ".git/HEAD").write_text(f"{commit}\n")


def dig(clone: Path, name: str) -> None:
    """Make folders in folders, deeper than any path can say."""
    os.chdir(clone)
    for _ in range(DEPTH):
        os.mkdir(name)
        os.chdir(name)


def enclose(clone: Path, others: str) -> None:
    """Have another agent's repository as a submodule of one's own."""
    folder, _, commit = others.partition(" ")
    (clone / "inner").mkdir()
    (clone / "inner/.git").write_text(f"gitdir: {folder}/.git\n")
    subprocess.run(
        ["git", "update-index", "--add", "--cacheinfo", f"160000,{commit},inner"], cwd=clone, check=True
    )
    (clone / ".gitmodules").write_text(f'[submodule "inner"]\n\tpath = inner\n\turl = {folder}\n')
