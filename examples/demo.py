"""The repository the examples work on: a real one, small, with the agents and the definition in it."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
DEMO = HERE / "demo.yaml"
STALL = HERE / "stall.yaml"


def make_repository(directory: Path, *, definition: Path = DEMO) -> Path:
    """Make a git repository in *directory*, which must be empty or not exist; its absolute path.

    It holds the package `shop` with its tests on branch main, the agents under `.egg/agents`, and
    *definition* as `egg.yaml`: `egg run egg.yaml` in it is all there is to do.
    """
    repository = directory.absolute()
    if repository.exists() and any(repository.iterdir()):
        raise FileExistsError(f"{repository} is not empty: give a directory that is, or that does not exist")
    unwanted = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(HERE / "shop-repository", repository, ignore=unwanted, dirs_exist_ok=True)
    shutil.copytree(HERE / "scripted-agents", repository / ".egg" / "agents", ignore=unwanted)
    shutil.copyfile(definition, repository / "egg.yaml")
    _git(repository, "init", "--quiet", "--initial-branch=main")
    _git(repository, "config", "user.name", "Egg Demo")
    _git(repository, "config", "user.email", "demo@egg.invalid")
    _git(repository, "add", "--all")
    _git(
        repository, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=A shop that adds up orders"
    )
    return repository


def _git(repository: Path, *arguments: str) -> None:
    """Run git in *repository*, whatever repository the caller itself may stand in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", *arguments], cwd=repository, env=environment, check=True
    )
