"""Links to commits of other repositories (git's mode 160000), and the submodules that are declared."""

from collections.abc import Mapping
from dataclasses import dataclass

from egg_tasks.workspace.git import Git, GitFailed

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
    """By path, the commits that a commit links to."""
    listed = git.run("ls-tree", "-r", "-z", "--full-tree", commit)
    found: dict[str, str] = {}
    for entry in listed.split(b"\0"):
        about, _, path = entry.partition(b"\t")
        if about.startswith(b"160000 commit ") and len(found) < MOST:
            found[path.decode("utf-8", "surrogateescape")] = about.split(b" ")[2].decode()
    return found


def declared(git: Git, commit: str) -> tuple[Submodule, ...]:
    """The submodules that .gitmodules of a commit names with a path and a URL."""
    try:
        text = git.run("config", "--blob", f"{commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\.")
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
