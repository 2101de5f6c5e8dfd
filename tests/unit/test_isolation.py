"""Isolation in a definition: where an agent runs, and what a phase says otherwise of it."""

import pytest

from models.schemas.definition import Definition, validate
from models.schemas.fault import Faulty, spell
from models.schemas.run import Container
from models.schemas.text import STORED
from tests.unit.test_definition import AGENT, definition, faults, roles


def isolated(isolation: object) -> dict[str, object]:
    """A definition whose coder is isolated so."""
    document = definition()
    document["agents"] = {"coder": {**AGENT, "isolation": isolation}, "tester": AGENT}
    return document


def test_a_container_may_be_said_in_a_word_or_in_full() -> None:
    full = {"kind": "docker", "image": "x:1", "memory": "1.5g", "cpus": 2, "pids": 99}
    short = validate(isolated("docker")).agents["coder"].isolation
    said = validate(isolated({**full, "runtime": "runsc", "network": {"mode": "deny"}})).agents["coder"]

    assert short
    assert short.container == Container()
    assert said.isolation
    assert said.isolation.container == Container(
        image="x:1", memory=3 << 29, cpus=2, pids=99, runtime="runsc"
    )
    assert validate(definition()).isolation_of(0, "coder").container is None


Layers = tuple[object, object, object]
"""What is said of all agents, of the agent coder, and of its role; None where nothing is."""
FULL = {"kind": "docker", "image": "x:1", "memory": "2g", "network": {"allow": ["a.b"]}}
OF_FULL = Container(image="x:1", memory=2 << 30)


def layered(of_all: object, of_agent: object, of_role: object) -> dict[str, object]:
    """A definition that says so."""
    said = [{"isolation": each} if each is not None else {} for each in (of_all, of_agent, of_role)]
    document = roles({"role": "coder", **said[2]}, {"role": "tester"}) | said[0]
    document["agents"] = {"coder": {**AGENT, **said[1]}, "tester": AGENT}
    return document


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize(
    ("layers", "container", "allowed"),
    [
        (("docker", None, None), Container(), None),
        (("docker", "process", None), None, None),
        (("docker", {"pids": 99}, None), Container(pids=99), None),
        ((None, FULL, {"memory": "8g"}), OF_FULL.model_copy(update={"memory": 8 << 30}), ("a.b",)),
        ((None, FULL, {"network": {}}), OF_FULL, ()),
        ((None, FULL, "process"), None, ("a.b",)),
        ((None, FULL, {"kind": "docker", "cpus": 3}), OF_FULL.model_copy(update={"cpus": 3.0}), ("a.b",)),
        ((None, {"network": {"allow": ["a.b"]}}, "docker"), Container(), ("a.b",)),
        ((FULL, {"image": "y"}, {"memory": "8g"}), Container(image="y", memory=8 << 30), ("a.b",)),
    ],
)
def test_a_role_says_what_is_otherwise_than_its_agent_and_an_agent_what_is_otherwise_than_all(
    is_stored: bool, layers: Layers, container: Container | None, allowed: tuple[str, ...] | None
) -> None:
    found = validate(layered(*layers))
    if is_stored:
        # As a row has it, which says of everything that it was not said.
        found = Definition.model_validate_json(found.model_dump_json(), context=STORED)

    isolation = found.isolation_of(0, "coder")

    assert isolation.container == container
    assert isolation.runs_as == ("docker" if container else "process")
    assert (isolation.network.allow if isolation.network else None) == allowed
    assert found.isolation_of(0, "tester").runs_as == ("docker" if layers[0] else "process")


def test_what_is_said_of_a_check_that_is_a_process_is_refused_too() -> None:
    def faulty(of_all: str, *entries: dict[str, object]) -> list[str]:
        check = {"run": "true", "isolation": {"memory": "8g"}}
        document = definition({"roles": [*entries, {"role": "tester"}], "check": check}, isolation=of_all)
        try:
            validate(document)
        except Faulty as error:
            return [spell(fault.path) for fault in error.faults]
        return []

    assert faulty("docker") == []
    assert faulty("process", {"role": "coder", "isolation": "docker"}) == []
    assert faulty("process") == ["phases[0].check.isolation.memory"]


@pytest.mark.parametrize(
    ("of_all", "of_agent", "of_role", "where"),
    [
        ({"cpus": 2}, None, None, "isolation.cpus"),
        (None, {"image": "x"}, None, "agents.coder.isolation.image"),
        ("docker", {"kind": "process", "image": "x"}, None, "agents.coder.isolation.image"),
        (None, None, {"memory": "8g"}, "phases[0].roles[0].isolation.memory"),
        ("docker", "process", {"memory": "8g"}, "phases[0].roles[0].isolation.memory"),
        (None, FULL, {"kind": "process", "pids": 9}, "phases[0].roles[0].isolation.pids"),
    ],
)
def test_what_would_hold_no_process_is_refused_where_it_stands(
    of_all: object, of_agent: object, of_role: object, where: str
) -> None:
    ((path, said),) = faults(layered(of_all, of_agent, of_role)).items()

    assert path == where
    assert said == f"`{where.rpartition('.')[2]}` would hold no process: add `kind: docker`, or leave it out"


def test_a_check_is_isolated_as_the_first_role_in_a_container_but_without_its_network() -> None:
    box = {"kind": "docker", "image": "x:1", "network": {"mode": "deny", "allow": ["pypi.org"]}}
    roster: tuple[dict[str, object], ...] = (
        {"role": "coder"},
        {"role": "tester", "isolation": box},
        {"role": "last", "isolation": "docker"},
    )
    document = roles(*roster)
    document["agents"] = {str(role["role"]): AGENT for role in roster}

    found = validate(document).check_isolation(0)

    assert (found.container, found.network) == (Container(image="x:1"), None)
    assert validate(definition()).check_isolation(0).container is None


def test_a_check_may_say_itself_where_it_runs_and_what_it_reaches() -> None:
    document = roles({"role": "coder", "isolation": {"kind": "docker", "image": "x:1"}})
    phase: dict[str, object] = document["phases"][0]  # type: ignore[index]

    phase["check"] = {"run": "true", "isolation": {"kind": "docker", "network": {"allow": ["pypi.org"]}}}
    found = validate(document).check_isolation(0)
    phase["check"] = {"run": "true", "isolation": "process"}
    other = validate(document).check_isolation(0)

    assert found.container == Container(image="x:1")
    assert found.network
    assert found.network.allow == ("pypi.org",)
    assert other.container is None


@pytest.mark.parametrize(
    ("isolation", "key", "said"),
    [
        ("dokcer", ".kind", "must be one of `process` or `docker`, not 'dokcer'"),
        ({"kind": "docker", "memory": 4}, ".memory", "must be text, not 4"),
        ({"kind": "docker", "memory": "4 GB"}, ".memory", "must be a number with k, m, g or t behind it"),
        ({"kind": "docker", "memory": "1m"}, ".memory", "must be 32m or more"),
        ({"kind": "docker", "disk": "1m"}, ".disk", "must be 32m or more"),
        ({"kind": "docker", "cpus": 0}, ".cpus", "must be greater than or equal to 0.1"),
        ({"kind": "docker", "imgae": "x"}, ".imgae", "unknown key `imgae` (did you mean `image`?)"),
        ({"kind": "docker", "network": {"allow": ["x"]}}, ".network.allow[0]", "must be a host with a dot"),
        ({"network": {"mode": "off"}}, ".network.mode", "must be one of `deny`, `observe` or `open`"),
    ],
)
def test_what_cannot_be_of_an_isolation_is_refused_where_it_stands(
    isolation: object, key: str, said: str
) -> None:
    ((where, sentence),) = faults(isolated(isolation)).items()

    assert where == f"agents.coder.isolation{key}"
    assert sentence.startswith(said)
