"""A clone is made ready before its agent starts: once, whoever dies meanwhile; else no agent starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks import adapters, run_places
from egg_tasks.attending.attendance import Left
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.use_cases import clearing, collecting
from models.queries import agent_runs as rows
from models.states import Failure, RunStatus
from models.tables import AgentRun
from tests.integration import test_gaps
from tests.integration.api_scene import GIT
from tests.integration.gaps import dies, lives
from tests.integration.runner_scene import until
from tests.integration.test_gaps import Ground, attend

ground = test_gaps.ground

COUNTED = "echo $$ >> {log}; mkdir -p deps && echo made >> deps/made"
AGENT = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(pathlib.Path('deps/made').read_text())"
IGNORED = "deps\n.env*\nlocal/\n"


def source(ground: Ground) -> Path:
    """The person's repository, which ignores what set-ups make."""
    path = ground.scene.home / "source"
    if not path.exists():
        subprocess.run([*GIT, "init", "-q", "-b", "main", str(path)], check=True)
        for name, text in ((".gitignore", IGNORED), ("lock", "one"), ("work.txt", "work")):
            (path / name).write_text(text)
        commit(path)
    return path


def commit(path: Path) -> None:
    """Commit all there is."""
    for words in (("add", "-A"), ("commit", "-q", "-m", "more")):
        subprocess.run([*GIT, *words], cwd=path, check=True)


def queue(
    ground: Ground,
    name: str,
    workspace: Mapping[str, object],
    *,
    agent: str = AGENT,
    environment: Mapping[str, str] | None = None,
    seat: Mapping[str, object] | None = None,
) -> UUID:
    """The run of a pipeline whose clones are made ready so; *seat* is what else is said of its role."""
    source(ground)
    program = {
        "backend": "command",
        "command": [sys.executable, "-c", agent, str(ground.scene.home / name)],
        "environment": environment or {},
    }
    phases = [{"name": "implement", "roles": [{"role": "coder", **(seat or {})}]}]
    ground.scene.create(name=name, agents={"coder": program}, phases=phases, workspace=workspace)
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=name, now=utcnow())
    lives(partial(pipeline_tasks.prepare, name))
    return ground.run(name).id


def run_of(run_id: UUID) -> AgentRun:
    """A run as it is now."""
    with unit_of_work() as session:
        return rows.get_agent_run(session, run_id=run_id)


def commit_to_role(ground: Ground, pipeline: str, name: str, text: str) -> None:
    """Have the role's branch hold a commit that changes a file, as if its agent had made it."""
    tree = ground.scene.home / f"{pipeline}-tree"
    repository = adapters.workspace().repository(pipeline)
    subprocess.run([*GIT, "clone", "-q", str(repository), str(tree)], check=True, capture_output=True)
    subprocess.run([*GIT, "checkout", "-q", f"origin/egg/{pipeline}/work"], cwd=tree, check=True)
    (tree / name).write_text(text)
    commit(tree)
    push = ("push", "-q", "origin", f"HEAD:refs/heads/egg/{pipeline}/coder")
    subprocess.run([*GIT, *push], cwd=tree, check=True)


@pytest.fixture
def log(ground: Ground) -> Path:
    """Where set-ups write a line each."""
    path = ground.scene.home / "set-ups"
    path.touch()
    return path


def test_an_agent_finds_what_its_set_up_has_made(ground: Ground, log: Path) -> None:
    run_id = queue(ground, "shop", {"setup": COUNTED.format(log=log)})

    assert attend(run_id) is Left.FINISHED
    assert (ground.scene.home / "shop").read_text() == "made\n"
    assert run_of(run_id).status is RunStatus.SUCCEEDED


def test_no_agent_starts_where_the_set_up_fails_and_its_last_lines_say_why(ground: Ground) -> None:
    run_id = queue(ground, "shop", {"setup": "echo half > work.txt; echo no such package; exit 3"})

    attend(run_id)
    run = run_of(run_id)
    assert not adapters.runner().has_started(run_id)
    assert (run.failure, run.status) == (Failure.SETUP, RunStatus.FAILED)
    assert run.error.startswith("its set-up `echo half")
    assert run.error.endswith("failed: exit code 3")
    assert run.log_tail == "no such package"
    branch = adapters.workspace().find_branch("shop", branch="egg/shop/coder")
    assert branch is None, "what a set-up leaves is nobody's work"
    assert run.kept_paths == [], "and its clone may go"


def test_a_set_up_has_no_token_and_nothing_secret(
    ground: Ground, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRECIOUS", "a secret of the person's")
    name = "shop"
    source(ground)
    program = {
        "backend": "command",
        "command": ["true"],
        "environment": {"KEY": {"from": "PRECIOUS"}, "PLAIN": "plain"},
        "workspace": {"setup": f"env > {log}"},
    }
    phases = [{"name": "implement", "roles": [{"role": "coder"}]}]
    ground.scene.create(name=name, agents={"coder": program}, phases=phases)
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=name, now=utcnow())
    lives(partial(pipeline_tasks.prepare, name))

    attend(ground.run(name).id)
    found = dict(line.partition("=")[::2] for line in log.read_text().splitlines())
    assert found["PLAIN"] == "plain"
    assert "KEY" not in found
    assert "EGG_SESSION_TOKEN" not in found
    assert "a secret of the person's" not in log.read_text()


def test_a_set_up_that_takes_too_long_is_stopped(ground: Ground) -> None:
    run_id = queue(ground, "shop", {"setup": ["sleep", "600"], "timeout_minutes": 0.01})

    attend(run_id)
    assert (
        run_of(run_id).error == "its set-up `sleep 600` failed: it took longer than 0.01 min and was stopped"
    )


@pytest.mark.parametrize("by", ["a person", "the machine"])
def test_a_set_up_that_others_end_has_not_failed_and_its_run_is_lost(
    ground: Ground, log: Path, by: str
) -> None:
    run_id = queue(ground, "shop", {"setup": f"echo $$ > {log}; exec sleep 600"})

    def end() -> None:
        until(lambda: log.read_text() != "")
        if by == "a person":
            adapters.runner().stop(run_places.set_up_of(run_id))
        else:
            os.kill(int(log.read_text()), signal.SIGKILL)

    with ThreadPoolExecutor(1) as other:
        ending = other.submit(end)
        attend(run_id)
        ending.result()

    run = run_of(run_id)
    assert (run.status, run.failure, run.error) == (RunStatus.LOST, Failure.LOST, "")
    assert not adapters.runner().has_started(run_id)


def test_a_run_that_is_cancelled_ends_its_set_up(ground: Ground) -> None:
    run_id = queue(ground, "shop", {"setup": "sleep 600"})

    def cancelled() -> None:
        with unit_of_work() as session:
            run = rows.lock_agent_run(session, run_id=run_id)
            run.stop_at = utcnow() + timedelta(seconds=3)

    cancelled()
    attend(run_id)
    assert run_of(run_id).closed_at is not None
    assert adapters.runner().list_live() == []
    assert not adapters.runner().has_started(run_id)


def test_a_set_up_may_die_anywhere_with_its_worker(ground: Ground, log: Path) -> None:
    """It is run once in each clone, and its agent starts once, after it."""
    cache = {"paths": ["deps"], "key": ["lock"]}

    for at in range(1, test_gaps.MOST, test_gaps.EVERY):
        name = f"shop-{at}"
        run_id = queue(ground, name, {"setup": COUNTED.format(log=log), "cache": cache})
        log.write_text("")

        has_died = dies(partial(attend, run_id), at=at)
        lives(partial(attend, run_id))

        assert run_of(run_id).status is RunStatus.SUCCEEDED
        assert len(log.read_text().splitlines()) == 1
        assert (ground.scene.home / name).read_text().startswith("made\n")
        if not has_died:
            return
    pytest.fail("it never comes to its end")


def test_a_later_set_up_begins_from_what_one_with_the_same_lock_file_has_made(
    ground: Ground, log: Path
) -> None:
    workspace = {"setup": COUNTED.format(log=log), "cache": {"paths": ["deps", "no/such"], "key": ["lock"]}}

    attend(queue(ground, "first", workspace))
    attend(queue(ground, "second", workspace))
    (source(ground) / "lock").write_text("two")
    commit(source(ground))
    attend(queue(ground, "third", workspace))

    made = [(ground.scene.home / name).read_text() for name in ("first", "second", "third")]
    assert made == ["made\n", "made\nmade\n", "made\n"]
    kept = [path for path in (ground.scene.home / "caches").iterdir() if path.is_dir()]
    assert [(path / "deps/made").read_text() for path in kept] == ["made\n", "made\n"], "as they were first"


def test_a_cache_is_for_set_ups_that_find_the_same_environment_paths_and_hosts(
    ground: Ground, log: Path
) -> None:
    workspace = {"setup": COUNTED.format(log=log), "cache": {"paths": ["deps"], "key": ["lock"]}}
    more = {**workspace, "cache": {"paths": ["deps", "lock"], "key": ["lock"]}}
    agents = {"isolation": {"network": {"allow": ["example.org"]}}}

    attend(queue(ground, "first", workspace))
    attend(queue(ground, "environment", workspace, environment={"MODE": "release"}))
    attend(queue(ground, "paths", more))
    attend(queue(ground, "hosts", {**workspace, "network": ["example.org"]}))
    attend(queue(ground, "again", workspace, environment={"MODE": "release"}, seat=agents))

    names = ("first", "environment", "paths", "hosts", "again")
    made = {name: (ground.scene.home / name).read_text() for name in names}
    assert made == {**dict.fromkeys(names, "made\n"), "again": "made\nmade\n"}


def test_what_agents_changed_of_a_set_up_decides_nobody_elses_cache(ground: Ground, log: Path) -> None:
    """The key file is as it was; what the command runs is an agent's, and says its HEAD were another."""
    path = source(ground)
    (path / "make.sh").write_text(COUNTED.format(log=log))
    commit(path)
    workspace = {"setup": "sh make.sh", "cache": {"paths": ["deps"], "key": ["lock"]}}
    run_id = queue(ground, "poisoned", workspace)
    poison = (
        "mkdir -p deps; echo poison >> deps/made; git reset -q --soft HEAD~1; git checkout -q HEAD make.sh"
    )
    commit_to_role(ground, "poisoned", "make.sh", poison)

    attend(run_id)
    attend(queue(ground, "next", workspace))

    assert (ground.scene.home / "poisoned").read_text() == "poison\n"
    assert (ground.scene.home / "next").read_text() == "made\n"
    assert len([each for each in (ground.scene.home / "caches").iterdir() if each.is_dir()]) == 2


def test_scripts_in_a_cache_that_name_their_clone_name_the_one_they_are_brought_into(ground: Ground) -> None:
    """As those of a virtual environment do: the clone it was made in is gone, or another agent's."""
    script = "mkdir deps; printf '#!/bin/sh\\necho %s\\n' $PWD > deps/tool; chmod 755 deps/tool;"
    script += " ln deps/tool deps/too"
    workspace = {"setup": f"test -e deps/tool || {{ {script}; }}", "cache": {"paths": ["deps"]}}
    look = "import os, subprocess, sys; subprocess.run('deps/too', stdout=open(sys.argv[1], 'w'), check=True)"

    first = queue(ground, "first", workspace, agent=look)
    attend(first)
    second = queue(ground, "second", workspace, agent=look)
    attend(second)

    for name, run_id in (("first", first), ("second", second)):
        assert (ground.scene.home / name).read_text() == f"{adapters.workspace().clone_of(run_id)}\n"


def test_a_cache_that_cannot_be_copied_is_done_without(ground: Ground, log: Path) -> None:
    workspace = {"setup": COUNTED.format(log=log), "cache": {"paths": ["deps"], "key": ["lock"]}}
    attend(queue(ground, "first", workspace))
    (cache,) = (each for each in (ground.scene.home / "caches").iterdir() if each.is_dir())
    inner = os.open(cache / "deps", os.O_RDONLY)
    for _ in range(25):
        # Longer in the end than any path may be.
        os.mkdir("x" * 200, dir_fd=inner)
        outer, inner = inner, os.open("x" * 200, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)

    attend(queue(ground, "second", workspace))

    assert (ground.scene.home / "second").read_text() == "made\n"


def test_a_cache_holds_no_file_that_a_clone_only_leads_to(ground: Ground, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    setup = f"ln -s {outside} deps; mkdir real; ln -s {outside} real/link"

    attend(
        queue(ground, "shop", {"setup": setup, "cache": {"paths": ["deps", "deps/secret", "real"]}}, agent="")
    )

    (cache,) = (path for path in (ground.scene.home / "caches").iterdir() if path.is_dir())
    assert sorted(path.name for path in cache.iterdir()) == [".egg-made.json", "real"]
    assert (cache / "real/link").is_symlink()


def test_ignored_files_that_are_named_are_in_the_clone(ground: Ground) -> None:
    path = source(ground)
    (path / ".env.test").write_text("PORT=1")
    (path / "local").mkdir()
    (path / "local/a.json").write_text("{}")
    show = "import sys; open(sys.argv[1], 'w').write(open('.env.test').read() + open('local/a.json').read())"

    attend(queue(ground, "shop", {"setup": "true", "include": [".env.test", "local/*.json"]}, agent=show))

    assert (ground.scene.home / "shop").read_text() == "PORT=1{}"
    branch = adapters.workspace().find_branch("shop", branch="egg/shop/coder")
    kept = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", str(branch)],
        cwd=adapters.workspace().repository("shop"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert ".env.test" not in kept


def test_what_only_the_persons_repository_ignores_is_in_the_clone_and_in_no_commit(ground: Ground) -> None:
    """Agents change .gitignore: what one has committed stops no set-up, and gives nothing away."""
    path = source(ground)
    (path / ".git/info/exclude").write_text("mine*\n")
    mine = ("mine.txt", "mine [a]*", "mine\nline", "mine ")
    for name in mine:
        (path / name).write_text("mine")
    leave = "import sys; open('mine a', 'w').close(); open(sys.argv[1], 'w').write(open('mine.txt').read())"

    run_id = queue(ground, "shop", {"setup": "true", "include": ["mine*"]}, agent=leave)
    attend(run_id)

    assert run_of(run_id).error == ""
    assert (ground.scene.home / "shop").read_text() == "mine"
    kept = subprocess.run(
        ["git", "ls-tree", "-rz", "--name-only", "egg/shop/coder"],
        cwd=adapters.workspace().repository("shop"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert [name for name in kept.split("\0") if name.startswith("mine")] == ["mine a"]


@pytest.mark.parametrize(
    ("include", "why"),
    [
        ([".env*"], "which .env.test fits, and that may be a secret: name it exactly"),
        (["nothing.txt"], "has no such file that git ignores"),
        (["work.txt"], "has no such file that git ignores"),
        (["local/link"], "links are not followed"),
        (["tracked.txt"], "the work has in its commits"),
        (["shown.txt"], "a .gitignore of the work says is not ignored"),
    ],
)
def test_what_better_stays_where_it_is_is_not_copied(ground: Ground, include: list[str], why: str) -> None:
    path = source(ground)
    (path / ".gitignore").write_text(f"{IGNORED}!shown.txt\n")
    (path / "tracked.txt").write_text("theirs")
    commit(path)
    (path / ".gitignore").write_text(IGNORED)
    subprocess.run([*GIT, "rm", "-q", "--cached", "tracked.txt"], cwd=path, check=True)
    (path / "shown.txt").write_text("mine")
    (path / ".git/info/exclude").write_text("tracked.txt\nshown.txt\n")
    (path / ".env.test").write_text("PORT=1")
    (path / "local").mkdir()
    (path / "local/link").symlink_to("/etc/hostname")

    run_id = queue(ground, "shop", {"setup": "true", "include": include})
    attend(run_id)

    assert why in run_of(run_id).error
    assert not adapters.runner().has_started(run_id)


def test_what_a_set_up_had_goes_with_its_run(ground: Ground, log: Path) -> None:
    run_id = queue(ground, "shop", {"setup": COUNTED.format(log=log), "cache": {"paths": ["deps"]}})
    attend(run_id)
    set_up = run_places.set_up_of(run_id)

    os.utime(run_places.given(ground.scene.home, set_up), (0, 0))
    assert not [item for item in collecting.look().items if item.kind == "orphan"]
    clearing.clear_run(run_id)
    assert not run_places.given(ground.scene.home, set_up).exists()
    assert adapters.runner().read_log(set_up, offset=0, limit=10) == b"", "its log stays with the run's"
    assert (ground.scene.home / "shims" / str(set_up)).is_dir()


def test_a_cache_that_nobody_uses_goes_when_space_is_wanted(ground: Ground, log: Path) -> None:
    attend(queue(ground, "shop", {"setup": COUNTED.format(log=log), "cache": {"paths": ["deps"]}}))
    (cache,) = (path for path in (ground.scene.home / "caches").iterdir() if path.is_dir())

    assert [item.kind for item in collecting.look().items if item.kind == "cache"] == []
    os.utime(cache, (0, 0))
    assert [item.path for item in collecting.look().items if item.kind == "cache"] == [str(cache)]
    collecting.collect()
    assert not cache.exists()
