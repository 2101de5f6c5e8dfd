"""No agent decides what another one is given: which caches a set-up begins from, and which it makes."""

import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from egg_tasks.attending import set_up_caches
from egg_tasks.attending.set_up_caches import CacheNames, Ground
from egg_tasks.workspace import GitWorkspace
from models.schemas.set_up import CloneSetUp
from tests.integration.api_scene import GIT

SET_UP = CloneSetUp.model_validate({"setup": "make deps", "cache": {"paths": ["deps"], "key": ["lock"]}})


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    """One with a pipeline, from whose base an agent has gone on."""
    source = tmp_path / "source"
    subprocess.run([*GIT, "init", "-q", "-b", "main", str(source)], check=True)
    for name, changes in (("base", ("lock", "Makefile")), ("poisoned", ("Makefile",)), ("locked", ("lock",))):
        for file in changes:
            (source / file).write_text(name)
        subprocess.run([*GIT, "add", "-A"], cwd=source, check=True)
        subprocess.run([*GIT, "commit", "-q", "-m", name], cwd=source, check=True)
        subprocess.run([*GIT, "tag", name], cwd=source, check=True)
    found = GitWorkspace(tmp_path)
    found.prepare("shop", source=str(source), base="locked")
    return found


def commit(workspace: GitWorkspace, name: str) -> str:
    """The id of a commit."""
    words = [*GIT, "rev-parse", f"{name}^{{commit}}"]
    source = workspace.repository("shop").parents[1] / "source"
    return subprocess.run(words, cwd=source, check=True, capture_output=True, text=True).stdout.strip()


def ground(workspace: GitWorkspace, whose: str, at: str, *, is_untouched: bool = True) -> Ground:
    """A set-up of a role's run (of a check, if it is nobody's) in a clone of a commit."""
    return Ground(
        pipeline_id="shop",
        source="source",
        directory=Path("/nonexistent"),
        commit=commit(workspace, at),
        base=commit(workspace, "base"),
        isolation="docker",
        literals={},
        whose=whose,
        is_untouched=is_untouched,
    )


def names(workspace: GitWorkspace, of: Ground, preparation: CloneSetUp = SET_UP) -> CacheNames:
    """Its caches."""
    return set_up_caches.names(workspace, of, preparation)


def test_what_the_first_set_up_of_the_base_makes_is_everybodys(workspace: GitWorkspace) -> None:
    made = names(workspace, ground(workspace, "coder", "base")).kept_as

    for of in (
        ground(workspace, "tester", "base"),
        ground(workspace, "tester", "poisoned", is_untouched=False),
    ):
        assert made == names(workspace, of).begins_from[-1]
    assert names(workspace, ground(workspace, "", "poisoned")).begins_from == (made,), "a check's, too"


@pytest.mark.parametrize(
    ("at", "is_untouched"),
    [("poisoned", True), ("poisoned", False), ("locked", True), ("locked", False), ("base", False)],
)
def test_what_an_agent_had_a_hand_in_is_its_own_roles_alone(
    workspace: GitWorkspace, at: str, is_untouched: bool
) -> None:
    mine = ground(workspace, "coder", at, is_untouched=is_untouched)
    made = names(workspace, mine).kept_as

    assert made == names(workspace, replace(mine, is_untouched=False)).begins_from[0], "its next run finds it"
    for whose in ("tester", "coder of another pipeline", ""):
        for other in ("base", "poisoned", "locked"):
            assert made not in names(workspace, ground(workspace, whose, other)).begins_from


def test_a_role_has_one_cache_of_its_own_whatever_lock_files_it_writes(
    workspace: GitWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "clone/deps").mkdir(parents=True)

    def kept(of: Ground, preparation: CloneSetUp = SET_UP) -> str | None:
        made = names(workspace, of, preparation).kept_as
        keep = partial(workspace.keep_cache, directory=tmp_path / "clone", inside=tmp_path / "clone")
        keep(str(made), run_id=uuid4(), paths=["deps"])
        return made

    others = {
        kept(ground(workspace, "coder", "base")),
        kept(ground(workspace, "tester", "poisoned", is_untouched=False)),
        kept(ground(workspace, "coder", "locked"), SET_UP.model_copy(update={"setup": ("make", "all")})),
    }
    former = kept(ground(workspace, "coder", "poisoned", is_untouched=False))
    newest = kept(ground(workspace, "coder", "locked", is_untouched=False))

    assert former != newest
    found = {path.name for path in (tmp_path / "caches").iterdir() if path.is_dir()}
    assert {former, *others, newest} & found == {*others, newest}


def test_a_check_of_what_agents_made_keeps_nothing(workspace: GitWorkspace) -> None:
    assert names(workspace, ground(workspace, "", "poisoned")).kept_as is None
    assert names(workspace, ground(workspace, "", "locked")) == CacheNames()


def test_what_the_base_made_is_not_begun_from_where_a_key_file_is_another(workspace: GitWorkspace) -> None:
    made = names(workspace, ground(workspace, "coder", "base")).kept_as

    assert made not in names(workspace, ground(workspace, "coder", "locked")).begins_from


def test_another_base_has_another_cache_though_its_key_files_are_the_same(workspace: GitWorkspace) -> None:
    """Whoever begins from agents' work makes caches for those who do, and for nobody else."""
    of_base = ground(workspace, "coder", "base")
    of_theirs = replace(ground(workspace, "coder", "poisoned"), base=commit(workspace, "poisoned"))

    assert names(workspace, of_base).kept_as != names(workspace, of_theirs).kept_as


def test_where_set_ups_run_and_what_they_find_there_tells_caches_apart(workspace: GitWorkspace) -> None:
    one = ground(workspace, "coder", "base")
    others = [replace(one, isolation="process"), replace(one, literals={"A": "B"}), replace(one, source="x")]
    made = {names(workspace, each).kept_as for each in (one, *others)}
    for update in ({"network": ("pypi.org",)}, {"include": (".npmrc",)}):
        made.add(names(workspace, one, SET_UP.model_copy(update=update)).kept_as)

    assert len(made) == 6
    assert names(workspace, one, SET_UP.model_copy(update={"cache": None})) == CacheNames()
