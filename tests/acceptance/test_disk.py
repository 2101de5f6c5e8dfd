"""The disk does not grow for ever: what is saved goes, what is not stays, and a deletion leaves nothing."""

import os
import subprocess
from pathlib import Path

import pytest

from egg_tasks.removal import size
from tests.acceptance.conftest import Egg
from tests.acceptance.faulty_agents import READY, WORK
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

MB = 1 << 20
SEVERAL, LATER = 3, 4
PERSON = ("-c", "user.name=a", "-c", "user.email=a@example.org")
BREAK = "echo precious > precious.txt; rm -rf .git/HEAD; mkdir .git/HEAD"
CLOSE = "echo precious > precious.txt; mkfifo pipe; truncate -s 5G giant; chmod 0 giant"
LARGE = (
    "printf '*.bin filter=lfs\\n' > .gitattributes; git add .gitattributes; git commit -qm attributes;"
    " printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 5\\n' 1 > lost.bin;"
    " git add -f lost.bin; git commit -qm lost; printf changed > kept.bin"
)


@pytest.fixture
def stage(egg: Egg, tmp_path: Path) -> Stage:
    """A repository of some megabytes that no compression makes smaller."""
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    for number in range(6):
        (repository / f"{number}.dat").write_bytes(os.urandom(MB))
    for command in (("add", "."), (*PERSON, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    return Stage(egg, repository, tmp_path)


def places(stage: Stage, name: str) -> dict[str, list[Path]]:
    """Where what a pipeline takes of the disk lies."""
    home = stage.egg.home
    runs = [run["run"] for run in stage.egg.json("agent", "list", name)["agents"]]
    return {
        "repository": [home / "repos" / f"{name}.git"],
        "given": [home / "runs" / run for run in runs],
        "logs": [home / "shims" / run for run in runs],
        "homes": [home / "roles" / name],
    }


def test_several_pipelines_leave_a_repository_and_logs_each_and_nothing_once_they_are_deleted(
    stage: Stage,
) -> None:
    names = [f"disk-{number}" for number in range(SEVERAL)]
    for name in names:
        scripts = {"coder": f"{WORK}; {READY}", "tester": READY}
        stage.play(name, scripts, check={"run": "ls *.dat", "owner": "coder"})
    assert [stage.end(name) for name in names] == SEVERAL * [("complete", "consensus")]
    found = {name: places(stage, name) for name in names}
    clones = [path for each in found.values() for path in each["given"]]
    assert len(clones) == SEVERAL * 3, "two agents and a check"

    stage.egg.wait(lambda: sum(map(size, clones)) < MB, why="the end of the clones")
    for each in found.values():
        taken = {kind: sum(map(size, paths)) for kind, paths in each.items()}
        assert taken.pop("repository") < 8 * MB
        assert sum(taken.values()) < MB
    assert "1.dat" in stage.egg.run("agent", "logs", names[0], "check").stdout, "logs outlive their clones"
    told = stage.egg.run("pipeline", "delete", names[0], check=False)
    assert told.returncode == 1
    assert f"egg/{names[0]}/coder" in told.stderr, "a branch that is nowhere else is named"
    assert stage.egg.status(names[0]) == "complete", "nothing is done without a word"
    for name in names:
        stage.egg.run("pipeline", "delete", name, "--yes")

    left = [path for each in found.values() for paths in each.values() for path in paths if path.exists()]
    assert left == []
    said = stage.egg.run("why", names[0], check=False).stderr
    assert said.startswith(f"error: there is no pipeline {names[0]};")
    stage.play(names[0], {"coder": READY})
    assert stage.end(names[0])[0] == "complete", "its name is free"


def test_what_could_not_be_saved_survives_later_runs_gc_and_a_restart(stage: Stage) -> None:
    egg = stage.egg
    leaving = {"broken": BREAK, "closed": CLOSE, "large": LARGE}
    for name, script in leaving.items():
        stage.play(f"left-{name}", {"coder": f"{script}; {READY}; exit 3"}, config={"max_rounds": 1})
    # `egg gc` looks at all that is on the disk: too much to ask again and again.
    egg.wait(lambda: len(list(egg.home.glob("runs/*/kept"))) >= len(leaving), why="what is kept")
    stage.play("later", {f"role{number}": READY for number in range(LATER)})
    assert stage.end("later")[0] == "complete"
    egg.run("gc", "--yes")
    assert egg.kill("celery") > 0
    assert egg.kill("egg_tasks.reconciler") > 0

    found = kept(egg)
    assert (found["left-broken"] / "precious.txt").read_text() == "precious\n"
    assert (found["left-closed"] / "giant").stat().st_size == 5 << 30
    assert (found["left-large"] / "kept.bin").read_text() == "changed"
    assert str(found["left-closed"].relative_to(egg.home)) in egg.run("why", "left-closed").stdout
    _only_by_its_name(stage, "left-closed", found["left-closed"])


def _only_by_its_name(stage: Stage, name: str, path: Path) -> None:
    """What is kept keeps its pipeline, and goes when it is named, after its paths were listed."""
    egg, run = stage.egg, path.parent.name
    egg.run("pipeline", "cancel", name)
    refused = egg.run("pipeline", "delete", name, "--yes", check=False)
    assert f"egg gc --kept {run}" in refused.stderr.replace("\n", " ")
    told = egg.run("gc", "--kept", run[:8], check=False)
    assert (told.returncode, path.exists()) == (1, True)
    assert "giant" in told.stderr
    egg.run("gc", "--kept", run[:8], "--yes")
    assert not path.exists()
    egg.run("pipeline", "delete", name, "--yes")


def kept(egg: Egg) -> dict[str, Path]:
    """By pipeline, where what is kept of it is."""
    return {
        one["pipeline"]: Path(one["path"])
        for one in egg.json("gc")["kept"]
        if one["pipeline"].startswith("left-")
    }
