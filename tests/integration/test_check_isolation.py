"""A check executes what agents wrote: where one of them is in a container, it runs in one as well."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

import pytest

from egg_tasks import adapters
from egg_tasks.attending.attendance import Left
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.engine.readiness_signals import Signal
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import agent_runs, versions
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.use_cases import readiness
from models.queries import agent_runs as run_rows
from models.queries import versions as version_rows
from models.schemas.credential import CallingAgent
from models.states import CheckStatus, Readiness
from models.tables import AgentRun, Check
from tests.engine import IMAGE, OwnEngine
from tests.integration import api_scene, test_gaps
from tests.integration.gaps import lives
from tests.integration.test_gaps import Ground

ground = test_gaps.ground

NAME = "shop"
BOX = {"kind": "docker", "image": IMAGE, "memory": "128m", "pids": 60}
LOOK = "pwd; id -u; ls /sys/class/net; ls -d /run/egg-gateway; cat {home}/stack.json; git log --format=%s; "


@pytest.fixture(autouse=True)
def boxed(ground: Ground, container_engine: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with something to hide and a gateway, whose containers are those of the tests' engine."""
    monkeypatch.setenv("EGG_DOCKER_HOST", container_engine.url)
    (ground.scene.home / "stack.json").write_text("the operator's token")
    (ground.scene.home / "gateway").mkdir()
    api_scene.forget()


def check_due(
    ground: Ground, command: str, *, check: Mapping[str, object] | None = None, **more: object
) -> UUID:
    """The check's run of a phase with an agent in a container, where another has committed `done.txt`."""
    program = {"backend": "command", "command": ["true"]}
    roles = [{"role": "coder"}, {"role": "tester", "agent": "coder", "isolation": BOX, "required": False}]
    phase = {"name": "implement", "roles": roles, "check": {"run": command, **(check or {})}}
    ground.scene.create(name=NAME, agents={"coder": program}, phases=[phase], **more)
    with unit_of_work() as session:
        pipelines.start(session, pipeline_id=NAME, now=utcnow())
    lives(partial(pipeline_tasks.prepare, NAME))
    run = ground.run(NAME)
    ground.scene.bring_to_life(NAME, run.id)
    commit = ground.pipeline(NAME).work_commit
    assert commit is not None
    adapters.workspace().open_clone(NAME, role="coder", run_id=run.id, work_commit=commit)
    ground.scene.commit(NAME, "done.txt")
    who = CallingAgent(run.id, NAME, run.phase_run_id, "coder")
    lives(partial(readiness.take, who, Signal(Readiness.READY)))
    lives(partial(versions.integrate, str(run.phase_run_id), "coder", 1))
    with unit_of_work() as session:
        runs = run_rows.list_agent_runs(session, pipeline_id=NAME)
    return next(run.id for run in runs if run.role is None)


def checked(run_id: UUID) -> tuple[AgentRun, Check, str]:
    """Attend the check as a worker does; its run, what is known of its commit, and what it wrote."""
    assert agent_runs._attendance(run_id).attend() is Left.FINISHED
    with unit_of_work() as session:
        run = run_rows.get_agent_run(session, run_id=run_id)
        (check,) = version_rows.list_checks(session, phase_run_id=run.phase_run_id)
    written = adapters.runner(run.isolation).read_log(run_id, offset=0, limit=1 << 16).decode()
    return run, check, written


def test_the_check_of_an_agent_in_a_container_runs_in_one_with_no_way_out_and_may_be_green(
    ground: Ground,
) -> None:
    look = LOOK.format(home=ground.scene.home)

    run, check, written = checked(check_due(ground, look + "test -z $EGG_SESSION_TOKEN && cat done.txt"))

    assert (run.isolation, check.status) == ("docker", CheckStatus.GREEN), written
    where, user, net, *_ = written.splitlines()
    assert where.startswith("/check/checkout-")
    assert (user, net) == ("65532", "lo")
    assert written.count("No such file") == 2, "neither the gateway nor what is the operator's"
    assert "operator" not in written
    # Those of one second stand in either order.
    assert sorted(written.splitlines()[-3:-1]) == ["done.txt", "one"]
    assert written.splitlines()[-1] == "text"


def test_a_red_check_in_a_container_is_red_with_its_log(ground: Ground) -> None:
    run, check, written = checked(check_due(ground, "echo 1 test failed; exit 3"))

    assert (run.isolation, run.exit_code, check.status) == ("docker", 3, CheckStatus.RED)
    assert run.log_tail == "1 test failed"
    assert written == "1 test failed\n"


def test_the_set_up_of_a_check_runs_where_the_check_does(ground: Ground) -> None:
    mark = ground.scene.home / "was-here"
    setup = f"pwd > where; touch {mark} || true"

    run, check, written = checked(check_due(ground, "cat where; pwd", workspace={"setup": setup}))

    assert check.status is CheckStatus.GREEN, run.error
    where, there = written.splitlines()
    assert where == there
    assert where.startswith("/check/checkout-")
    assert not mark.exists()


def test_a_check_reaches_the_hosts_of_its_own_list(ground: Ground) -> None:
    """By a token that is no agent's: it is not told of an API."""
    names = ("http_proxy=.*egg:", "EGG_SESSION_TOKEN", "EGG_ORCHESTRATOR_URL")
    look = f"env | grep -o {' '.join(f'-e {name}' for name in names)}; ls -d /run/egg-gateway"
    isolation = {"network": {"allow": ["pypi.org"]}}

    _, check, written = checked(check_due(ground, look, check={"isolation": isolation}))

    assert check.status is CheckStatus.GREEN, written
    assert written == "http_proxy=http://egg:\n/run/egg-gateway\n"
