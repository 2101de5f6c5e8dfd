"""egg env: a shell that takes it talks to the local stack the ordinary way."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import EGG, Egg

pytestmark = pytest.mark.acceptance
CELERY = str(Path(sys.executable).with_name("celery"))
ASK = """
import os, urllib.request
request = urllib.request.Request(os.environ["EGG_ORCHESTRATOR_URL"] + "/metrics")
request.add_header("Authorization", "Bearer " + os.environ["EGG_OPERATOR_TOKEN"])
print(urllib.request.urlopen(request).read().decode())
"""


@pytest.mark.parametrize(
    ("shell", "taking"),
    [("bash", f'eval "$({EGG} env)"'), ("zsh", f'eval "$({EGG} env)"'), ("fish", f"{EGG} env | source")],
)
def test_celery_and_the_operators_token_work_in_a_shell_that_took_it(
    egg: Egg, shell: str, taking: str
) -> None:
    if shutil.which(shell) is None:
        assert "CI" not in os.environ, f"{shell} is missing: see .ci/run"
        pytest.skip(f"{shell} is not installed")
    line = f"{taking}; {CELERY} -A egg_tasks.app inspect ping && {sys.executable} -c '{ASK}'"

    done = egg._run([shell, "-c", line], None)

    assert done.returncode == 0, done.stderr
    assert "->  agents@local: OK" in done.stdout
    assert "->  control@local: OK" in done.stdout
    assert "egg_agents_live" in done.stdout


def test_the_database_lets_that_shell_in(egg: Egg) -> None:
    said = egg.type(f'eval "$({EGG} env)" && {EGG} db current')

    assert said.strip().startswith("20")


def test_a_shell_that_took_it_may_stop_and_start_the_stack(egg: Egg) -> None:
    said = egg.type(f'eval "$({EGG} env)" && {EGG} up')

    assert "other settings" not in said


def test_programs_get_it_as_json_and_agents_do_not(egg: Egg) -> None:
    found = json.loads(egg.run("env", "--json").stdout)
    agents = Egg(egg.home, {**egg.environment, "EGG_SESSION_TOKEN": "x"}).run("env", check=False)

    assert set(found["variables"]) == {
        "EGG_HOME", "EGG_ORCHESTRATOR_URL", "EGG_OPERATOR_TOKEN", "EGG_DATABASE_URL", "EGG_REDIS_URL",
    }  # fmt: skip
    assert (agents.returncode, agents.stdout) == (1, "")


def test_without_a_stack_it_says_how_to_have_one(person: Egg) -> None:
    done = person.run("env", check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert "no stack runs in" in done.stderr
    assert "egg up" in done.stderr
