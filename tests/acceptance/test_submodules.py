"""Submodules, nested repositories and other branches, through the front door."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.integration.workspace_scene import commit, git

pytestmark = pytest.mark.acceptance

READY = "egg signal readiness --state READY --reason ok"
NOTE = "echo done >note && git add note && git commit -qm note && "


def definition(directory: Path, script: str, *, check: str = "true") -> Path:
    """A pipeline of one agent that runs a script, in a file beside the repository."""
    document = {
        "version": 1,
        "repo": "shop",
        "prompt": "Write a note.",
        "agents": {"coder": {"backend": "command", "command": ["sh", "-c", script]}},
        "phases": [{"name": "build", "roles": [{"role": "coder"}], "check": {"run": check}}],
    }
    path = directory / "work.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with a library as a submodule, fetched from beside it."""
    library, shop = tmp_path / "lib", tmp_path / "shop"
    for path, files in ((library, {"lib.py": "answer = 42\n"}), (shop, {"README": "shop\n"})):
        path.mkdir()
        git(path, "init", "-q", "-b", "main")
        commit(path, files)
    add = ("submodule", "--quiet", "add", str(library), "vendor/lib")
    git(shop, "-c", "protocol.file.allow=always", *add)
    commit(shop, {}, "with a library")
    return shop


def test_agents_and_checks_find_the_files_of_a_submodule(egg: Egg, shop: Path) -> None:
    has = "test -s vendor/lib/lib.py"
    work = definition(shop.parent, f"{has} && {NOTE}{READY}", check=has)

    done = egg.run("run", str(work), "--name", "library", "--wait")

    assert done.returncode == 0, done.stderr


def test_a_submodule_out_of_reach_is_said_and_the_run_goes_on(egg: Egg, shop: Path) -> None:
    git(shop, "config", "-f", ".gitmodules", "submodule.vendor/lib.url", "../gone")
    git(shop, "submodule", "--quiet", "deinit", "-f", "--all")
    (shop / ".git/modules").rename(shop.parent / "modules")
    commit(shop, {}, "gone")
    work = definition(shop.parent, f"grep 'vendor/lib could not be' $EGG_PROMPT_FILE && {NOTE}{READY}")

    looked = egg.run("validate", str(work))
    done = egg.run("run", str(work), "--name", "without", "--wait")

    assert looked.returncode == done.returncode == 0, done.stderr
    said = "note: the submodule vendor/lib cannot be fetched"
    assert (said in looked.stderr, said in done.stderr) == (True, True)


def test_work_left_on_another_branch_is_refused_and_kept(egg: Egg, shop: Path) -> None:
    left = "git checkout -qb topic && " + NOTE + "git checkout -q -; "
    work = definition(shop.parent, f"{left}{READY} || echo refused; git branch -qD topic; {READY}")

    done = egg.run("run", str(work), "--name", "left", "--wait")

    assert done.returncode == 0, done.stderr
    assert "refused" in egg.run("agent", "logs", "left", "coder").stdout
    assert "coder's version 1 changes nothing." in done.stdout + done.stderr
