"""Where agents run and what they reach, as `egg validate` says it."""

import os
from pathlib import Path

import pytest

from cli import whereabouts
from models.schemas.definition import validate
from tests.unit.test_definition import AGENT, definition

USER = "as root" if os.geteuid() == 0 else "as you"


@pytest.mark.parametrize(
    ("isolation", "runs", "reaches"),
    [
        ("process", f"process, {USER}", "all that you may"),
        ({"network": {"allow": ["a.b"]}}, f"process, {USER}", "egg, a.b, if it keeps to it"),
        ("docker", "container egg-agent:latest (4g, 2 cpus, 512 pids)", "egg alone"),
        (
            {"kind": "docker", "image": "x", "memory": "1.5g", "runtime": "runsc"},
            "container x (1.5g, 2 cpus, 512 pids, runsc)",
            "egg alone",
        ),
        (
            {"kind": "docker", "network": {"mode": "observe", "allow": ["a.b"]}},
            "container egg-agent:latest (4g, 2 cpus, 512 pids)",
            "egg, every host of the internet, noted",
        ),
        (
            {"kind": "docker", "network": {"mode": "open"}},
            "container egg-agent:latest (4g, 2 cpus, 512 pids)",
            "egg, EVERY host of the internet",
        ),
    ],
)
def test_each_agent_is_said_to_run_somewhere_and_to_reach_something(
    isolation: object, runs: str, reaches: str
) -> None:
    agents = {"coder": {**AGENT, "isolation": isolation}, "tester": AGENT}

    first, second = whereabouts.places(validate(definition(agents=agents)))

    assert (first.who, first.runs, first.reaches) == ("coder", runs, reaches)
    assert (second.who, second.runs_as, second.image) == ("tester", "process", None)


def test_a_role_that_is_elsewhere_in_a_phase_is_said_for_itself() -> None:
    roles = [{"role": "coder", "isolation": {"pids": 99}}, {"role": "tester"}]

    *_, last = whereabouts.places(validate(definition({"roles": roles}, isolation="docker")))

    assert (last.who, last.runs) == (
        "coder in implement",
        "container egg-agent:latest (4g, 2 cpus, 99 pids)",
    )


@pytest.mark.parametrize(
    ("of_all", "check", "runs", "reaches"),
    [
        ("process", {}, f"process, {USER}", "all that you may"),
        ("docker", {}, "container egg-agent:latest (4g, 2 cpus, 512 pids)", "nothing"),
        (
            "docker",
            {"isolation": {"network": {"allow": ["a.b"]}}},
            "container egg-agent:latest (4g, 2 cpus, 512 pids)",
            "a.b",
        ),
        ("docker", {"isolation": "process"}, f"process, {USER}", "all that you may"),
    ],
)
def test_a_check_is_said_to_be_where_its_phase_is_and_to_reach_less(
    of_all: object, check: dict[str, object], runs: str, reaches: str
) -> None:
    found = validate(definition({"check": {"run": "true", **check}}, isolation=of_all))

    *_, last = whereabouts.places(found)

    assert (last.who, last.runs, last.reaches) == ("check of implement", runs, reaches)
    assert ("the check of implement" in found.images.get("egg-agent:latest", ())) == (last.image is not None)


@pytest.mark.parametrize("where", ["isolation", "agents.coder.isolation", "phases[0].roles[0].isolation"])
def test_an_open_network_is_warned_of_wherever_it_is_said(where: str) -> None:
    isolation = {"isolation": {"network": {"mode": "open"}}}
    first, second = {"role": "coder"}, {"role": "tester"}
    role = first | isolation if where.startswith("phases") else first
    agent = AGENT | isolation if where.startswith("agents") else AGENT
    of_all = isolation if where == "isolation" else {}
    document = definition({"roles": [role, second]}, agents={"coder": agent, "tester": AGENT}, **of_all)

    (said,) = whereabouts.warnings(validate(document))

    assert said.startswith(f"{where}.network.mode: `open`")
    assert "EVERY host" in said


def test_a_program_of_this_machine_is_not_in_an_image(tmp_path: Path) -> None:
    (tmp_path / "agent.sh").touch()
    agents = {
        name: {**AGENT, "command": [str(program)]}
        for name, program in {"coder": tmp_path / "agent.sh", "tester": "/bin/sh"}.items()
    }
    document = definition(agents=agents)

    (said,) = whereabouts.warnings(validate({**document, "isolation": "docker"}))

    assert said.startswith(f"agents.coder.command: {tmp_path}/agent.sh is looked for in the image egg-agent")
    assert list(whereabouts.warnings(validate(document))) == []


def test_a_check_that_leaves_the_containers_of_its_phase_is_warned_of() -> None:
    check = {"run": "true", "isolation": "process"}

    (said,) = whereabouts.warnings(validate(definition({"check": check}, isolation="docker")))

    assert said.startswith("phases[0].check.isolation: as a process")
    assert list(whereabouts.warnings(validate(definition({"check": check})))) == []


def test_a_definition_names_its_images_and_who_is_in_them() -> None:
    roles = [{"role": "coder"}, {"role": "tester", "isolation": {"image": "other"}}]
    agents = {"coder": AGENT, "tester": AGENT}

    found = validate(definition({"roles": roles}, agents=agents, isolation="docker")).images

    assert found == {"egg-agent:latest": ("coder",), "other": ("tester",)}
    assert validate(definition()).images == {}
