"""Links to commits of other repositories (git's mode 160000), and the submodules that are declared."""

from collections.abc import Mapping
from dataclasses import dataclass

from egg_tasks.workspace.git import Git, GitFailed

LARGEST = 1024 * 1024
"""Bytes of a .gitmodules that is read."""
MOST = 1000
"""So many submodules of a commit are looked at."""


@dataclass(frozen=True)
class Submodule:
    """What .gitmodules says of one; *url* is as it stands there."""

    name: str
    path: str
    url: str
    ignore: str = "none"
    """What git is not to see as a change of it: `untracked`, `dirty`, `all` or `none`."""


def links(git: Git, commit: str) -> Mapping[str, str]:
    """By path, the commits that a commit links to; the first `MOST` of them."""
    found: dict[str, str] = {}
    for entry in git.records("ls-tree", "-r", "-z", "--full-tree", commit):
        about, _, path = entry.partition(b"\t")
        if about.startswith(b"160000 commit "):
            found[path.decode("utf-8", "surrogateescape")] = about.split(b" ")[2].decode()
            if len(found) == MOST:
                break
    return found


def declared(git: Git, commit: str) -> tuple[Submodule, ...]:
    """The submodules that .gitmodules of a commit names with a path and a URL."""
    blob = f"{commit}:.gitmodules"
    try:
        if int(git.line("cat-file", "-s", blob)) > LARGEST:
            return ()
        text = git.run("config", "--blob", blob, "-z", "--get-regexp", r"^submodule\.")
    except GitFailed:
        return ()
    said: dict[str, dict[str, str]] = {}
    for line in text.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = line.partition("\n")
        name, _, variable = key.removeprefix("submodule.").rpartition(".")
        said.setdefault(name, {})[variable] = value
    return tuple(
        Submodule(name, known["path"], known["url"], known.get("ignore", "none"))
        for name, known in list(said.items())[:MOST]
        if name and known.get("path") and known.get("url")
    )
