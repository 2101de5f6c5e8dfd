"""A token of a set-up or of a check opens the hosts of its own list, and nothing else."""

import hashlib
import secrets
from collections.abc import Iterator

import pytest

from cli.commands import egress as egress_command
from egg_tasks.database import unit_of_work
from egg_tasks.gateway import callers
from models.queries import agent_runs
from models.tables import TokenKind
from tests.integration.api_rows import finish, run_of
from tests.integration.api_scene import NAME, Scene
from tests.integration.gateway_scene import Way, gateway
from tests.integration.test_gateway_hosts import asked, host, opened, rows

__all__ = ["host"]


@pytest.fixture
def way(scene: Scene, host: int) -> Iterator[Way]:
    """A gateway, and a pipeline whose set-up and check may reach a host that its agent may not."""
    mine = f"127.0.0.1:{host}"
    program = {"backend": "command", "command": ["true"]}
    agents = {"coder": {**program, "isolation": {"network": {"allow": ["agent.invalid"]}}}}
    check = {"run": "true", "isolation": {"network": {"allow": [mine]}}}
    phases = [{"name": "implement", "roles": [{"role": "coder"}], "check": check}]
    scene.start(agents=agents, phases=phases, workspace={"setup": "true", "network": [mine]})
    with gateway(scene.home, api_port=scene.port) as found:
        yield found


def given(scene: Scene, kind: TokenKind) -> str:
    """A token of a kind, of the coder's run."""
    token = secrets.token_urlsafe(32)
    with unit_of_work() as session:
        key = hashlib.sha256(token.encode()).digest()
        agent_runs.add_token(session, run_id=run_of(scene, "coder"), token_hash=key, kind=kind)
    return token


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (TokenKind.SETUP, "set-up; add it to `workspace.network`"),
        (TokenKind.CHECK, "check; add it to `check.isolation.network.allow`"),
    ],
)
def test_it_opens_what_its_own_list_has_and_not_the_agents(
    scene: Scene, way: Way, host: int, kind: TokenKind, said: str
) -> None:
    token = given(scene, kind)

    reached = asked(way, f"127.0.0.1:{host}", token)
    refused = asked(way, "agent.invalid:443", token)

    assert reached == "200 Connected"
    assert refused.startswith(f"403 agent.invalid:443 is not allowed to this {said} of the")
    assert asked(way, f"127.0.0.1:{host}", scene.tokens["coder"]).startswith("403 ")


@pytest.mark.parametrize("kind", [TokenKind.SETUP, TokenKind.CHECK])
def test_it_speaks_for_nobody(scene: Scene, way: Way, kind: TokenKind) -> None:
    """Neither at the API nor by the gateway, whose agent it is that lives."""
    token = given(scene, kind)
    said = {"signal_type": "readiness", "state": "READY"}
    path = f"/pipelines/{NAME}/signal"

    answers = [way.ask("POST", path, token, said)[0], way.ask("POST", path, token, said, port=scene.port)[0]]

    assert answers == [401, 401]
    assert way.ask("GET", f"/pipelines/{NAME}/context", scene.tokens["coder"])[0] == 200


def test_a_set_ups_goes_when_its_agent_starts_and_what_it_has_open_is_cut(
    scene: Scene, way: Way, host: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "LOOK_AGAIN_SECONDS", 0.05)
    token, target = given(scene, TokenKind.SETUP), f"127.0.0.1:{host}"
    tunnel, _ = opened(way, target, token)

    with unit_of_work() as session:
        agent_runs.remove_tokens(session, run_id=run_of(scene, "coder"), kind=TokenKind.SETUP)

    assert asked(way, target, token) == "407 the set-up that had this token is over"
    assert tunnel.recv(1) == b""
    tunnel.close()
    assert way.ask("GET", f"/pipelines/{NAME}/context", scene.tokens["coder"])[0] == 200


def test_it_is_over_with_its_run(scene: Scene, way: Way, host: int) -> None:
    token = given(scene, TokenKind.CHECK)
    assert asked(way, f"127.0.0.1:{host}", token) == "200 Connected"

    finish(scene, "coder")

    assert asked(way, f"127.0.0.1:{host}", token).startswith("409 this agent run is over")


def test_what_a_set_up_asked_for_is_shown_as_its_own_and_not_offered_to_the_agent(
    scene: Scene, way: Way, host: int
) -> None:
    asked(way, f"127.0.0.1:{host}", given(scene, TokenKind.SETUP))
    asked(way, "more.invalid:443", given(scene, TokenKind.SETUP))
    asked(way, "other.invalid:443", scene.tokens["coder"])

    assert rows(scene) == [
        ("127.0.0.1", host, "allowed", "setup", "coder", 1),
        ("more.invalid", 443, "refused", "setup", "coder", 1),
        ("other.invalid", 443, "refused", "list", "coder", 1),
    ]
    answer = {"egress": scene.ask("GET", f"/pipelines/{NAME}/egress").data["egress"]}
    assert egress_command.wanted(answer, of="agent") == ["other.invalid"]
    assert egress_command.wanted(answer, of="setup") == [f"127.0.0.1:{host}", "more.invalid"]
