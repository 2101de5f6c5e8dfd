"""What the command line says when something is wrong, and what `egg why` says while something waits."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance

SLOW = """
version: 1
repo: {shop}
prompt: Agree.
config: {{concurrent_execution: true}}
agents:
  coder:
    backend: command
    command: [sh, -c, 'sleep 3; echo $EGG_AGENT_RUN_ID > work.txt; git add .; git commit -qm work; {ready}']
  tester:
    backend: command
    command: [sh, -c, 'test -e work.txt && {object} || egg signal readiness --state BLOCKED --on coder']
  documenter:
    backend: command
    command: [sh, -c, 'test -e work.txt && {ready} || egg signal readiness --state BLOCKED --on coder']
phases:
  - name: agree
    roles:
      - {{role: coder}}
      - {{role: tester, reviews: [coder]}}
      - {{role: documenter}}
"""
READY = "egg signal readiness --state READY"
OBJECT = "egg signal readiness --state OBJECTING --about coder --reason wrong"


def write(tmp_path: Path, shop: Path) -> Path:
    """A definition of a slow coder, a tester that waits and then objects, and a documenter that waits."""
    definition = tmp_path / "slow.yaml"
    definition.write_text(SLOW.format(shop=shop, ready=READY, object=OBJECT))
    return definition


def test_every_fault_of_a_definition_comes_with_its_line(egg: Egg, tmp_path: Path) -> None:
    definition = tmp_path / "faulty.yaml"
    definition.write_text(
        """version: 1
repo: ./nowhere
prompt: Do it.
colour: red
agents:
  coder: {backend: command, command: ["true"]}
  tester: {backend: command, command: ["true"]}
phases:
  - name: build
    roles:
      - {role: coder, needs: [tester]}
      - {role: tester, needs: [coder], reviews: [cdoer]}
"""
    )
    before = egg.json("pipeline", "list")

    done = egg.run("run", str(definition), check=False)

    assert done.returncode == 2
    for line in (":2: repo:", ":4: colour:", ":12: phases[0].roles[1].reviews[0]:", "coder → tester → coder"):
        assert line in done.stderr
    assert egg.json("pipeline", "list") == before


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (("pipeline", "status", "nope"), {}, "there is no pipeline nope"),
        (("pipeline", "list"), {"EGG_OPERATOR_TOKEN": "wrong"}, "nobody knows this credential"),
        (("pipeline", "list"), {"EGG_HOME": "/nonexistent/egg"}, "no egg stack is running here"),
        (
            ("pipeline", "list"),
            {"EGG_ORCHESTRATOR_URL": "http://127.0.0.1:9", "EGG_OPERATOR_TOKEN": "x"},
            "http://127.0.0.1:9",
        ),
        (("up",), {"EGG_HOME": "/proc/egg"}, "/proc/egg"),
        (
            ("up",),
            {"EGG_HOME": "/tmp/egg-dead-database", "EGG_DATABASE_URL": "postgresql://127.0.0.1:9/egg"},
            "EGG_DATABASE_URL",
        ),
    ],
    ids=["unknown pipeline", "wrong token", "no stack", "no server", "unwritable directory", "dead database"],
)
def test_what_is_wrong_is_said_in_a_sentence(
    egg: Egg, words: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    stack = json.loads((egg.home / "stack.json").read_text())
    given = (
        {"EGG_ORCHESTRATOR_URL": stack["api_url"], **environment}
        if "EGG_OPERATOR_TOKEN" in environment
        else environment
    )
    other = Egg(egg.home, given)

    done = other.run(*words, check=False)

    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_why_names_the_objection_while_one_objects(egg: Egg, tmp_path: Path, shop: Path) -> None:
    egg.run("run", str(write(tmp_path, shop)), "--name", "why", "--detach")

    # That one is BLOCKED it says only until what it waits for has come, which may be at once.
    egg.wait(lambda: "objection 1" in egg.run("why", "why").stdout, why="the objection in `egg why`")

    assert "tester" in egg.run("why", "why").stdout
    egg.run("pipeline", "cancel", "why")


def test_a_home_is_closed_to_others(egg: Egg) -> None:
    assert oct((egg.home / "stack.json").stat().st_mode & 0o777) == "0o600"
