"""Every route, asked with every credential: the status the interface promises, and nothing written."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from egg_tasks.api.app import create_app
from egg_tasks.proof import key_of, name_of
from tests.integration.api_rows import ask_a_person, digests, digests_of, finish, run_of
from tests.integration.api_scene import NAME, OPERATOR, Answer, Scene

RIVAL = "rival"
P = f"/pipelines/{NAME}"
SEND = {"message_type": "PROGRESS", "subject": "half way"}
RESULT = {"status": "success", "summary": "done"}
ASK = {"question": "Which?"}
PULSE = {"signal_type": "heartbeat"}
ASKED = f"?credential={name_of(key_of(OPERATOR))}&nonce={'0' * 32}"


@dataclass(frozen=True)
class Route:
    """A route asked well, and what the operator and the pipeline's agent are answered."""

    path: str
    operator: int
    agent: int
    body: object = None
    query: str = ""
    elsewhere: int = 403
    """What an agent of another pipeline is answered."""
    is_open: bool = False


ROUTES = {
    "GET /health": Route("/health", 200, 200, is_open=True),
    "GET /ready": Route("/ready", 200, 200, is_open=True),
    "GET /proof": Route("/proof", 200, 200, query=ASKED, is_open=True),
    "GET /metrics": Route("/metrics", 200, 403),
    "POST /pipelines": Route("/pipelines", 422, 403, body={}),
    "GET /pipelines": Route("/pipelines", 200, 403),
    "GET /pipelines/{pipeline_id}": Route(P, 200, 403),
    "GET /pipelines/{pipeline_id}/status": Route(f"{P}/status", 200, 403),
    "GET /pipelines/{pipeline_id}/why": Route(f"{P}/why", 200, 403),
    "GET /pipelines/{pipeline_id}/phases": Route(f"{P}/phases", 200, 403),
    "GET /pipelines/{pipeline_id}/egress": Route(f"{P}/egress", 200, 403),
    "GET /pipelines/{pipeline_id}/usage": Route(f"{P}/usage", 200, 403),
    "GET /pipelines/{pipeline_id}/agents": Route(f"{P}/agents", 200, 403),
    "GET /pipelines/{pipeline_id}/agents/{run}": Route(f"{P}/agents/@run", 200, 403),
    "GET /pipelines/{pipeline_id}/agents/{run}/logs": Route(f"{P}/agents/@run/logs", 200, 403),
    "GET /decisions/{decision_id}": Route("/decisions/@decision", 200, 200, elsewhere=404),
    "GET /pipelines/{pipeline_id}/decisions": Route(f"{P}/decisions", 200, 200),
    "GET /pipelines/{pipeline_id}/decisions/{decision_id}": Route(f"{P}/decisions/@decision", 200, 200),
    "GET /pipelines/{pipeline_id}/messages": Route(f"{P}/messages", 200, 200, query="?role=coder"),
    "GET /pipelines/{pipeline_id}/messages/status": Route(f"{P}/messages/status", 200, 200),
    "GET /pipelines/{pipeline_id}/messages/history": Route(f"{P}/messages/history", 200, 403),
    "GET /pipelines/{pipeline_id}/context": Route(f"{P}/context", 403, 200),
    "GET /pipelines/{pipeline_id}/events": Route(f"{P}/events", 200, 403),
    "POST /pipelines/{pipeline_id}/messages": Route(f"{P}/messages", 201, 201, body=SEND),
    "POST /pipelines/{pipeline_id}/signal": Route(f"{P}/signal", 403, 200, body=PULSE),
    "POST /pipelines/{pipeline_id}/sync": Route(f"{P}/sync", 403, 200),
    "POST /pipelines/{pipeline_id}/decisions": Route(f"{P}/decisions", 201, 201, body=ASK),
    "POST /pipelines/{pipeline_id}/decisions/{decision_id}/resolve": Route(
        f"{P}/decisions/@decision/resolve", 200, 403, body={"resolution": "Accept current state"}
    ),
    "POST /pipelines/{pipeline_id}/results": Route(f"{P}/results", 403, 201, body=RESULT),
    "GET /pipelines/{pipeline_id}/results": Route(f"{P}/results", 200, 403),
    "POST /pipelines/{pipeline_id}/extend": Route(f"{P}/extend", 200, 403, body={"iterations": 1}),
    "POST /pipelines/{pipeline_id}/quota": Route(f"{P}/quota", 200, 403, body={"messages": 2**30}),
    "GET /overview": Route("/overview", 200, 403),
    "GET /overview/pipelines": Route("/overview/pipelines", 200, 403),
    "GET /decisions": Route("/decisions", 200, 403),
    "GET /halt": Route("/halt", 200, 403),
    "POST /halt": Route("/halt", 200, 403, body={"why": "a test"}),
    "POST /halt/lift": Route("/halt/lift", 200, 403),
    "DELETE /halt": Route("/halt", 200, 403),
    "POST /pipelines/{pipeline_id}/agents/{run}/retry": Route(f"{P}/agents/@run/retry", 409, 403),
    "POST /pipelines/{pipeline_id}/agents/{run}/stop": Route(f"{P}/agents/@run/stop", 200, 403),
    "POST /pipelines/{pipeline_id}/start": Route(f"{P}/start", 200, 403),
    "POST /pipelines/{pipeline_id}/pause": Route(f"{P}/pause", 200, 403),
    "POST /pipelines/{pipeline_id}/resume": Route(f"{P}/resume", 200, 403),
    # It is closing: the state was accepted above.
    "POST /pipelines/{pipeline_id}/phases/{phase}/advance": Route(f"{P}/phases/implement/advance", 409, 403),
    "POST /pipelines/{pipeline_id}/phases/{phase}/restart": Route(f"{P}/phases/implement/restart", 200, 403),
    "POST /pipelines/{pipeline_id}/rebase": Route(f"{P}/rebase", 202, 403, body={}),
    "GET /pipelines/{pipeline_id}/branches": Route(f"{P}/branches", 200, 403),
    "GET /disk": Route("/disk", 200, 403),
    "POST /disk/collect": Route("/disk/collect", 200, 403),
    "POST /disk/kept/{run}/remove": Route("/disk/kept/@run/remove", 409, 403),
    "POST /disk/repositories/{name}/remove": Route(f"/disk/repositories/{NAME}/remove", 409, 403),
    "POST /pipelines/{pipeline_id}/delete": Route(f"{P}/delete", 409, 403),
    "POST /pipelines/{pipeline_id}/cancel": Route(f"{P}/cancel", 200, 403),
}
"""In an order in which each can still be asked after those before it."""


@pytest.fixture
def town(shop: Scene) -> Scene:
    """The shop with a question to a person, and a rival beside it with an agent and a question of its own."""
    rival = Scene(shop.port, shop.home)
    rival.start(name=RIVAL)
    shop.tokens["rival"] = rival.tokens["coder"]
    ask_a_person(RIVAL)
    shop.tokens["@decision"] = str(ask_a_person(NAME))
    return shop


def test_every_route_is_tried_here() -> None:
    routes = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in create_app().openapi()["paths"].items()
        for method in methods
    }

    assert set(ROUTES) == routes


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "Bearer a-token-nobody-knows"}, ""),
        ({"Authorization": "Basic operators-own"}, ""),
        ({"Authorization": "operators-own"}, ""),
        ({"Cookie": "token=operators-own"}, "?token=operators-own&access_token=operators-own"),
    ],
)
def test_who_is_unknown_enters_nowhere(town: Scene, headers: dict[str, str], query: str) -> None:
    before = digests()

    statuses = asked(town, lambda method, path, body: _plainly(town, method, path + query, body, headers))

    assert statuses == {name: 200 if route.is_open else 401 for name, route in ROUTES.items()}
    assert digests() == before


def test_an_operator_does_all_but_what_is_an_agents(town: Scene) -> None:
    # A halt is over all pipelines: what it does to the others is shown elsewhere.
    halts = {name: route for name, route in ROUTES.items() if name.endswith(("/halt", "/halt/lift"))}
    own = {name: route for name, route in ROUTES.items() if name not in halts}
    rival = digests_of(RIVAL)

    assert asked_as(town, "operator", own) == {name: route.operator for name, route in own.items()}
    assert digests_of(RIVAL) == rival
    assert asked_as(town, "operator", halts) == {name: route.operator for name, route in halts.items()}


def test_a_live_agent_does_what_is_an_agents(town: Scene) -> None:
    rival = digests_of(RIVAL)

    assert asked_as(town, "coder") == {name: route.agent for name, route in ROUTES.items()}
    assert digests_of(RIVAL) == rival


def test_what_an_agent_is_refused_writes_nothing(town: Scene) -> None:
    refused = {name: route for name, route in ROUTES.items() if route.agent == 403}
    before = digests()

    assert set(asked_as(town, "coder", refused).values()) == {403}
    assert digests() == before


def test_what_an_operator_only_reads_writes_nothing(town: Scene) -> None:
    reads = {name: route for name, route in ROUTES.items() if name.startswith("GET")}
    before = digests()

    asked_as(town, "operator", reads)

    assert digests() == before


def test_an_agent_of_a_finished_run_is_told_so(town: Scene) -> None:
    finish(town, "coder")
    before = digests()

    assert asked_as(town, "coder") == _over()
    assert digests() == before


def test_an_agent_of_a_cancelled_pipeline_is_told_so(town: Scene) -> None:
    town.ask("POST", f"{P}/cancel")
    before = digests()

    assert asked_as(town, "coder") == _over()
    assert digests() == before


def test_an_agent_of_another_pipeline_does_nothing_here(town: Scene) -> None:
    before = digests()

    assert asked_as(town, "rival") == {
        name: 200 if route.is_open else route.elsewhere for name, route in ROUTES.items()
    }
    assert digests() == before


def test_a_refused_agent_is_not_told_whose_question_it_is(town: Scene) -> None:
    answer = town.ask("GET", f"/decisions/{town.tokens['@decision']}", who="rival")

    assert NAME not in str(answer.body)


@pytest.mark.parametrize(
    ("who", "method", "path", "body"),
    [
        ("coder", "POST", "/messages", SEND | {"from_role": "tester"}),
        ("coder", "POST", "/messages", SEND | {"from_role": "human"}),
        ("operator", "POST", "/messages", SEND | {"from_role": "coder"}),
        ("coder", "POST", "/messages", SEND | {"message_type": "DIRECTIVE"}),
        ("coder", "POST", "/messages", SEND | {"message_type": "AGENT_FAILED"}),
        ("operator", "POST", "/messages", SEND | {"message_type": "FINALIZE"}),
        ("coder", "GET", "/messages?role=tester", None),
        ("coder", "GET", "/messages?role=tester&since_id=0&scope=pipeline", None),
        ("coder", "POST", "/signal", PULSE | {"role": "tester"}),
        ("coder", "POST", "/results", RESULT | {"role": "tester"}),
        ("coder", "POST", "/signal", PULSE | {"pipeline_id": RIVAL}),
        ("coder", "POST", "/signal", {"signal_type": "readiness", "state": "WORKING", "role": "tester"}),
    ],
)
def test_a_claim_to_be_another_is_refused_and_writes_nothing(
    town: Scene, who: str, method: str, path: str, body: object
) -> None:
    before = digests()

    assert town.ask(method, P + path, body, who=who).status == 403
    assert digests() == before


def test_a_question_of_another_pipeline_is_not_found_by_its_number_here(town: Scene) -> None:
    other = int(town.tokens["@decision"]) - 1
    before = digests()

    answer = town.ask("POST", f"{P}/decisions/{other}/resolve", {"resolution": "Abort phase"})

    assert (answer.status, digests()) == (404, before)


def test_a_run_of_another_pipeline_is_not_found_by_its_id_here(town: Scene) -> None:
    run = run_of(town, "rival")

    assert town.ask("GET", f"{P}/agents/{run}").status == 404
    assert town.ask("GET", f"{P}/agents/{run}/logs").status == 404


def asked_as(scene: Scene, who: str, routes: dict[str, Route] = ROUTES) -> dict[str, int]:
    """The status of each route, asked as somebody."""
    token = {"Authorization": f"Bearer {scene.tokens[who]}"}
    return asked(scene, lambda method, path, body: _plainly(scene, method, path, body, token), routes)


def asked(
    scene: Scene, ask: Callable[[str, str, object], int], routes: dict[str, Route] = ROUTES
) -> dict[str, int]:
    """The status of each route, asked in one way."""
    found = {}
    for name, route in routes.items():
        path = route.path.replace("@run", str(run_of(scene, "coder")))
        path = path.replace("@decision", scene.tokens["@decision"]) + route.query
        found[name] = ask(name.partition(" ")[0], path, route.body)
    return found


def _over() -> dict[str, int]:
    return {name: 200 if route.is_open else 409 for name, route in ROUTES.items()}


def _plainly(scene: Scene, method: str, path: str, body: object, headers: dict[str, str]) -> int:
    path = path.replace("?", "&").replace("&", "?", 1)
    answer: Answer = scene.ask(method, path, body, who=None, headers=headers)
    return answer.status
