"""What definitions take from the shell of `egg up` goes to the worker of agents, in memory alone."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from egg_tasks import shell
from egg_tasks.stack import commands
from egg_tasks.stack.manifest import Manifest
from models.errors import NotSet

SECRET = "not-for-others-1234"
READER = """
import json, os
from pathlib import Path
from egg_tasks import shell
found = shell.variables()
shell.variables.cache_clear()
environ = Path("/proc/self/environ").read_text()
print(json.dumps({"found": dict(found), "stdin": os.readlink("/proc/self/fd/0"), "environ": environ}))
"""


def heard(given: Mapping[str, str]) -> dict[str, object]:
    """What a process hears that these are handed on to, and what is left of it."""
    with shell.handed_on(given) as stdin:
        done = subprocess.run(
            [sys.executable, "-c", READER], stdin=stdin, env={"EGG_X": "1"}, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_it_is_heard_once_and_is_in_no_environment_and_no_file() -> None:
    found = heard({"KEY": SECRET, "EGG_OPERATOR_TOKEN": "ours", "ODD": "\udcff"})

    assert found["found"] == {"KEY": SECRET, "ODD": "\udcff"}
    assert found["stdin"] == os.devnull
    assert SECRET not in str(found["environ"])


def test_without_a_stack_it_is_the_workers_own_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READER], stdin=subprocess.DEVNULL, env={"KEY": SECRET},
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout)["found"]["KEY"] == SECRET


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process's own environment, to be changed."""
    shell.variables.cache_clear()
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://egg:hidden@host/egg")
    monkeypatch.setenv("DATABASE_URL", "postgresql://egg:hidden@host/egg")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("KEY", SECRET)
    return monkeypatch


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "NOWHERE",
            "NOWHERE is not set in the environment of the worker that launches it: set it in the shell",
        ),
        ("EMPTY", "EMPTY is empty in the environment of"),
        ("EGG_DATABASE_URL", "EGG_DATABASE_URL holds a secret of the orchestrator's own"),
        ("DATABASE_URL", "DATABASE_URL holds a secret of the orchestrator's own"),
    ],
)
def test_what_is_not_there_or_ours_is_refused_in_a_sentence(name: str, said: str) -> None:
    with pytest.raises(NotSet, match=said):
        shell.value(name)
    shell.variables.cache_clear()


@pytest.mark.usefixtures("here")
def test_what_is_there_is_taken() -> None:
    assert shell.value("KEY") == SECRET
    shell.variables.cache_clear()


def test_only_the_worker_that_launches_agents_hears_it(tmp_path: Path) -> None:
    manifest = Manifest(
        api_url="", api_port=1, flower_url="", flower_port=2, flower_login="a:b", operator_token="t",
        database_url="", redis_url="", supervisor_pid=0,
    )  # fmt: skip
    env = commands.environment(tmp_path, {"PATH": "/bin", "KEY": SECRET}, manifest)

    found = commands.ours(manifest, env)

    assert [program.name for program in found if program.hears_shell] == ["worker-agents"]
    assert SECRET not in str([dict(program.environment) for program in found])
