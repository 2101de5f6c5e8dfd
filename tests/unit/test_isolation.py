"""Isolation in a definition: where an agent runs, and what a phase says otherwise of it."""

import pytest

from models.schemas.definition import validate
from models.schemas.run import Container
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

    assert short.container == Container()
    assert said.isolation.container == Container(
        image="x:1", memory=3 << 29, cpus=2, pids=99, runtime="runsc"
    )
    assert validate(definition()).agents["coder"].isolation.container is None


def test_a_role_of_a_phase_says_what_is_otherwise_than_its_agents_isolation() -> None:
    document = roles({"role": "coder", "isolation": {"network": {"mode": "observe"}}}, {"role": "tester"})
    agent = {**AGENT, "isolation": {"network": {}}}
    document["agents"] = {"coder": agent, "tester": agent}

    found = validate(document)

    modes = [network.mode for role in ("coder", "tester") if (network := found.isolation(0, role).network)]
    assert modes == ["observe", "deny"]


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
        ({"image": "x"}, "", "`image` of a process would not hold: add `kind: docker`"),
        ({"kind": "docker", "memory": 4}, ".memory", "must be text, not 4"),
        ({"kind": "docker", "memory": "4 GB"}, ".memory", "must be a number with k, m, g or t behind it"),
        ({"kind": "docker", "memory": "1m"}, ".memory", "must be 32m or more"),
        ({"kind": "docker", "disk": "1g"}, ".disk", "`disk` is not built yet; remove it"),
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
