"""The repository of the demo: a real one, small, with its agents and its definitions in it."""

import os
import shutil
import subprocess
from pathlib import Path

from models.errors import Unavailable, Unprocessable

HERE = Path(__file__).parent
SHOP = HERE / "shop-repository"
AGENTS = HERE / "scripted-agents"


def make_repository(directory: Path) -> Path:
    """Make a git repository in *directory*, which must be empty or not exist; its absolute path.

    It holds the package `shop` with its tests on branch main, the agents under `.egg/agents`, and the
    definitions `egg.yaml` and `stall.yaml`: `egg run egg.yaml` in it is all there is to do.
    Raises `Unprocessable` when the directory cannot be used, `Unavailable` without git.
    """
    repository = directory.absolute()
    try:
        if repository.exists() and any(repository.iterdir()):
            raise Unprocessable(
                f"{repository} is not empty: name a directory that is, or that does not exist"
            )
        unwanted = shutil.ignore_patterns("__pycache__", ".*_cache", "example_*.py")
        shutil.copytree(SHOP, repository, ignore=unwanted, dirs_exist_ok=True)
        shutil.copytree(AGENTS, repository / ".egg" / "agents", ignore=unwanted)
    except OSError as error:
        raise Unprocessable(f"cannot make a repository in {repository}: {error.strerror or error}") from error
    _git(repository, "init", "--quiet", "--initial-branch=main", "--template=")
    _git(repository, "config", "user.name", "Egg Demo")
    _git(repository, "config", "user.email", "demo@egg.invalid")
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message=A shop that adds up orders")
    return repository


def _git(repository: Path, *arguments: str) -> None:
    """Run git in *repository*, wherever the caller stands and whatever the person's own git is told."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        subprocess.run(["git", *arguments], cwd=repository, env=environment, check=True)
    except FileNotFoundError as error:
        raise Unavailable("git is not on the PATH; install it") from error
