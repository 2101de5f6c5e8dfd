"""Isolation in a definition: where an agent runs, and what a phase says otherwise of it."""

import pytest

from models.schemas.definition import validate
from tests.unit.test_definition import AGENT, definition, faults, roles


def isolated(isolation: object) -> dict[str, object]:
    """A definition whose coder is isolated so."""
    document = definition()
    document["agents"] = {"coder": {**AGENT, "isolation": isolation}, "tester": AGENT}
    return document


def test_a_role_of_a_phase_says_what_is_otherwise_than_its_agents_isolation() -> None:
    document = roles({"role": "coder", "isolation": {"network": {"mode": "observe"}}}, {"role": "tester"})
    agent = {**AGENT, "isolation": {"network": {}}}
    document["agents"] = {"coder": agent, "tester": agent}

    found = validate(document)

    modes = [network.mode for role in ("coder", "tester") if (network := found.isolation(0, role).network)]
    assert modes == ["observe", "deny"]


@pytest.mark.parametrize(
    ("isolation", "key", "said"),
    [
        ("docker", ".kind", "`docker` is not built yet; use `process`"),
        ({"kind": "docker"}, ".kind", "`docker` is not built yet; use `process`"),
        ("dokcer", ".kind", "must be `process`, not 'dokcer'"),
        ({"image": "x"}, ".image", "`image` is not built yet; remove it"),
        ({"disk": "1g"}, ".disk", "`disk` is not built yet; remove it"),
        ({"imgae": "x"}, ".imgae", "unknown key `imgae`"),
        ({"network": {"mode": "off"}}, ".network.mode", "must be one of `deny`, `observe` or `open`"),
        ({"network": {"allow": ["x"]}}, ".network.allow[0]", "must be a host with a dot"),
    ],
)
def test_what_cannot_be_of_an_isolation_is_refused_where_it_stands(
    isolation: object, key: str, said: str
) -> None:
    ((where, sentence),) = faults(isolated(isolation)).items()

    assert where == f"agents.coder.isolation{key}"
    assert sentence.startswith(said)
