"""Looks at the repository a definition names, on the machine where the definition is."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from models.errors import Unavailable
from models.schemas.definition import Fault

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/:]+:")
_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "safe.directory=*")
_SECONDS = 20


def resolved(repo: str, *, directory: Path) -> str:
    """Make a path absolute, taken from *directory*; a URL (or `host:path`) stays as it is."""
    if _URL.match(repo):
        return repo
    path = Path(repo).expanduser() if repo.startswith("~/") else Path(repo)
    return str((directory / path).resolve())


def repository_faults(repo: str, *, base: str | None) -> Iterator[Fault]:
    """Find what keeps an absolute path from being a repository with a commit to start from.

    A URL is not looked at: the orchestrator must reach it, not this machine.
    """
    if _URL.match(repo):
        return
    path = Path(repo)
    if not path.is_dir():
        yield Fault(("repo",), f"{path} is not a directory" if path.exists() else f"{path} does not exist")
    elif (top := _git(path, "rev-parse", "--show-cdup")) is None:
        yield Fault(("repo",), f"{path} is not a git repository; make one with `git init`")
    elif top:
        yield Fault(("repo",), f"{path} lies inside a repository; name its top, {(path / top).resolve()}")
    elif _git(path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base or 'HEAD'}^{{commit}}"):
        return
    elif base is None:
        yield Fault(("repo",), f"{path} has no commit yet; make one with `git commit`")
    else:
        yield Fault(("base",), f"no branch, tag or commit `{base}` in {path}")


def _git(repository: Path, *arguments: str) -> str | None:
    """Ask git without any of the user's configuration; its answer, or None when it says no."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = [*_GIT, "-C", str(repository), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not on the PATH; install it") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"git did not answer for {_SECONDS} s in {repository}") from error
    return done.stdout.strip() if done.returncode == 0 else None
