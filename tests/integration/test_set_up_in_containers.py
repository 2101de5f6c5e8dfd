"""A set-up runs in a container where its agent does: in the same clone, and with no more than it needs."""

import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from egg_tasks import adapters, run_places
from egg_tasks.attending.attendance import Left
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import agent_runs
from egg_tasks.tasks import pipelines as pipeline_tasks
from models.states import Failure, RunStatus
from models.tables import AgentRun
from tests.engine import IMAGE, OwnEngine
from tests.integration import api_scene, gateway_scene, test_gaps, test_gateway_hosts
from tests.integration.api_scene import GIT
from tests.integration.gaps import dies, lives
from tests.integration.test_gaps import Ground
from tests.integration.test_set_up import commit, commit_to_role, run_of, source

ground = test_gaps.ground
host = test_gateway_hosts.host

BOX = {"kind": "docker", "image": IMAGE, "memory": "256m", "pids": 60}
CACHED = {"paths": ["deps"], "key": ["lock"]}


@pytest.fixture(autouse=True)
def boxed(ground: Ground, container_engine: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with something to hide, whose containers are those of the tests' engine."""
    monkeypatch.setenv("EGG_DOCKER_HOST", container_engine.url)
    (ground.scene.home / "stack.json").write_text("the operator's token")
    source(ground)
    api_scene.forget()


def queue(ground: Ground, name: str, workspace: Mapping[str, object], agent: str) -> UUID:
    """The run of a pipeline whose agent is in a container, as a line for the shell."""
    program = {"backend": "command", "command": ["sh", "-c", agent], "isolation": BOX}
    phases = [{"name": "implement", "roles": [{"role": "coder"}]}]
    ground.scene.create(name=name, agents={"coder": program}, phases=phases, workspace=workspace)
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=name, now=utcnow())
    lives(partial(pipeline_tasks.prepare, name))
    return ground.run(name).id


def attended(run_id: UUID) -> tuple[AgentRun, str, str]:
    """Attend a run as a worker does: how it is now, what its set-up wrote, and what it wrote itself."""
    assert agent_runs._attendance(run_id).attend() is Left.FINISHED
    runner = adapters.runner("docker")
    read = partial(runner.read_log, offset=0, limit=1 << 16)
    return run_of(run_id), read(run_places.set_up_of(run_id)).decode(), read(run_id).decode()


def containers(engine: OwnEngine, *run_ids: UUID) -> str:
    """What is left at the engine of runs and their set-ups."""
    found = ""
    for run_id in (*run_ids, *map(run_places.set_up_of, run_ids)):
        found += engine.docker("ps", "--all", "--quiet", "--filter", f"name=egg-{run_id}")
    return found


def test_it_makes_the_clone_ready_as_the_agents_user_and_reaches_nothing(
    ground: Ground, container_engine: OwnEngine
) -> None:
    (source(ground) / ".env.test").write_text("PORT=1")
    (ground.scene.home / "gateway").mkdir()
    setup = (
        "pwd; id -u; ls /sys/class/net; ls -d /run/egg-gateway; cat .env.test;"
        f" env | grep -c -e TOKEN -e PROXY; cat {ground.scene.home}/stack.json;"
        " mkdir deps; echo made > deps/made; echo kept > ~/kept;"
        "(sleep 600; echo late > deps/late) & exit 0"
    )
    look = "cat .env.test deps/made ~/kept; stat -c %u deps/made .env.test; ls deps;"
    look += "cat /proc/[0-9]*/comm | grep -c sleep"

    run, made, found = attended(queue(ground, "shop", {"setup": setup, "include": [".env.test"]}, look))

    assert run.status is RunStatus.SUCCEEDED or run.failure is Failure.PROCESS_FAILURE, run.error
    assert made.splitlines()[:3] == ["/work", "65532", "lo"]
    assert made.count("No such file") == 2, "neither the gateway nor what is the operator's"
    assert "PORT=10\n" in made, "and no token"
    assert found.splitlines() == ["PORT=1made", "kept", "65532", "65532", "made", "0"]
    assert containers(container_engine, run.id) == ""


def test_one_that_fails_says_its_last_lines_and_no_agent_starts(
    ground: Ground, container_engine: OwnEngine
) -> None:
    run, made, _ = attended(queue(ground, "shop", {"setup": "echo no such package; exit 3"}, "true"))

    assert (run.failure, run.status, run.log_tail) == (Failure.SETUP, RunStatus.FAILED, "no such package")
    assert run.error == "its set-up `echo no such package; exit 3` failed: exit code 3"
    assert made == "no such package\n"
    assert not adapters.runner("docker").has_started(run.id)
    assert containers(container_engine, run.id) == ""


def test_one_that_takes_too_long_is_stopped(ground: Ground, container_engine: OwnEngine) -> None:
    run, _, _ = attended(queue(ground, "shop", {"setup": "sleep 600", "timeout_minutes": 0.01}, "true"))

    assert run.failure is Failure.SETUP
    assert run.error.endswith("it took longer than 0.01 min and was stopped")
    assert containers(container_engine, run.id) == ""


def test_a_cache_made_in_a_container_is_brought_into_the_next(ground: Ground) -> None:
    (ground.scene.home / "outside").mkdir()
    (ground.scene.home / "outside/secret").write_text("secret")
    setup = (
        f"mkdir -p deps; echo made >> deps/made; ln -sf {ground.scene.home}/outside deps/link;"
        "ln -f deps/made deps/twice; mkfifo deps/pipe; cp /bin/true deps/tool; chmod u+s deps/tool; true"
    )
    workspace = {"setup": setup, "cache": CACHED}

    attended(queue(ground, "first", workspace, "true"))
    _, _, found = attended(
        queue(ground, "second", workspace, "cat deps/made; stat -c %u deps/made; ls deps/link/")
    )

    assert found.splitlines()[:3] == ["made", "made", "65532"]
    assert "secret" not in found
    (cache,) = (each for each in (ground.scene.home / "caches").iterdir() if each.is_dir())
    assert (cache / "deps/link").is_symlink()
    assert sorted(each.name for each in (cache / "deps").iterdir()) == [
        "link",
        "made",
        "pipe",
        "tool",
        "twice",
    ]


def test_what_agents_committed_leads_neither_files_nor_caches_out_of_the_clone(
    ground: Ground, tmp_path: Path
) -> None:
    """Both where they are put and where they are read."""
    outside = tmp_path / "outside"
    (outside / "deps").mkdir(parents=True)
    (outside / "deps/secret").write_text("secret")
    (source(ground) / "local").mkdir()
    (source(ground) / "local/a.json").write_text("{}")
    cache = {"paths": ["local/deps"]}
    run_id = queue(ground, "shop", {"setup": "true", "include": ["local/a.json"], "cache": cache}, "true")
    link(ground, "shop", outside)
    other_id = queue(ground, "other", {"setup": "true", "cache": cache}, "true")
    link(ground, "other", outside)

    run, _, _ = attended(run_id)
    attended(other_id)

    assert run.failure is Failure.SETUP
    assert "a file or a link where a directory on the way to it is to be: take that out there" in run.error
    assert sorted(each.name for each in outside.iterdir()) == ["deps"]
    kept = (ground.scene.home / "caches").glob("*/**/*")
    assert {each.name for each in kept} == {".egg-made.json"}, "nothing of the person's"


def link(ground: Ground, pipeline: str, outside: Path) -> None:
    """Have the role's agent have committed a link where a directory of the person's is."""
    commit_to_role(ground, pipeline, "local", "")
    tree = ground.scene.home / f"{pipeline}-tree"
    (tree / "local").unlink()
    (tree / "local").symlink_to(outside)
    subprocess.run([*GIT, "add", "-f", "local"], cwd=tree, check=True)
    commit(tree)
    push = ("push", "-q", "--force", "origin", f"HEAD:refs/heads/egg/{pipeline}/coder")
    subprocess.run([*GIT, *push], cwd=tree, check=True)


def test_it_goes_out_to_its_own_hosts_by_a_token_that_its_agent_cannot_use(ground: Ground, host: int) -> None:
    home = ground.scene.home
    ask = f"python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{host}/way').status)\""
    asked = "unset NO_PROXY no_proxy; " + ask
    workspace = {
        "setup": f"{asked}; echo $HTTP_PROXY > ~/proxy",
        "network": [f"127.0.0.1:{host}"],
    }
    look = f"export http_proxy=$(cat ~/proxy) HTTP_PROXY=$(cat ~/proxy); {asked} 2>&1 | tail -1"
    with gateway_scene.gateway(home, api_port=1):
        _, made, found = attended(queue(ground, "shop", workspace, look))

    assert made == "200\n"
    assert "407" in found
    assert "the set-up that had this token is over" in found


def test_its_worker_may_die_anywhere(ground: Ground, container_engine: OwnEngine) -> None:
    """It is run once in each clone, and its agent starts once, after it."""
    setup = "echo set-up >> ~/starts; mkdir -p deps; echo made > deps/made"
    run_ids = []

    for at in range(1, test_gaps.MOST, test_gaps.EVERY):
        name = f"shop-{at}"
        run_id = queue(
            ground, name, {"setup": setup, "cache": CACHED}, "echo agent >> ~/starts; cat ~/starts"
        )
        run_ids.append(run_id)
        act = partial(test_gaps.attend, run_id, runner=adapters.runner("docker"))

        has_died = dies(act, at=at)
        lives(act)

        found = adapters.runner("docker").read_log(run_id, offset=0, limit=1000)
        assert found == b"set-up\nagent\n", run_of(run_id).error
        if not has_died:
            break
    assert containers(container_engine, *run_ids) == ""
