"""The API under requests nobody thought of: made from its own description, right ones and wrong ones.

Deterministic; `FUZZ_EXAMPLES=500 pytest tests/integration/test_api_fuzz.py` looks longer.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import func, select

from egg_tasks.api.app import create_app
from egg_tasks.database import unit_of_work
from models.queries import agent_runs, phase_runs
from models.tables import Message
from tests.integration.api_rows import ask_a_person, digests, digests_of, run_of
from tests.integration.api_scene import NAME, Scene, forget

Operation = APIOperation[Any, Any, Any, Any]

RIVAL = "rival"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
WHO = {"to_role", "from_role", "role", "on", "about"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LAST = ("/stop", "/start", "/pause", "/resume", "/restart", "/cancel")
"""How operations end after which there is less that others could do."""
OF_ALL = frozenset({"/api/v1/halt", "/api/v1/halt/lift"})
"""What is meant to reach every pipeline."""
OF_NOBODY = frozenset({"/api/v1/proof"})
"""What names a credential and is not asked with one: 401 says that the name is nobody's."""


def test_no_request_of_the_operators_breaks_the_server_or_reaches_another_pipeline(shop: Scene) -> None:
    rival = open_rival(shop)
    before = digests_of(RIVAL)

    statuses = fuzz(shop, "operator", (NAME,), rival, leaving=OF_ALL | OF_NOBODY)

    assert digests_of(RIVAL) == before
    assert statuses[401] == statuses[500] == 0
    assert statuses[200] > EXAMPLES


def test_no_order_to_stop_all_breaks_the_server(shop: Scene) -> None:
    others = frozenset(operation.path for operation in operations()) - OF_ALL

    statuses = fuzz(shop, "operator", (NAME,), open_rival(shop), leaving=others)

    assert statuses[500] == 0
    assert statuses[200] > 0


def test_no_request_of_an_agents_reaches_another_pipeline_or_speaks_for_another_role(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGG_RATE_LIMIT", "0")
    forget()
    rival = open_rival(shop)
    other_pipeline, other_role = digests_of(RIVAL), standing(shop, "tester")

    statuses = fuzz(shop, "coder", (NAME, RIVAL), rival, leaving=OF_NOBODY)

    assert digests_of(RIVAL) == other_pipeline
    assert standing(shop, "tester") == other_role
    assert statuses[401] == statuses[500] == 0
    assert statuses[200] > EXAMPLES


def test_no_request_of_nobodys_writes_anything(shop: Scene) -> None:
    rival = open_rival(shop)
    before = digests()

    statuses = fuzz(shop, "a-token-nobody-knows", (NAME, RIVAL), rival)

    assert digests() == before
    assert statuses[500] == statuses[201] == 0


def open_rival(shop: Scene) -> Scene:
    """A second pipeline, whose rows tell whether anybody reached it; both have asked a person."""
    rival = Scene(shop.port, shop.home)
    rival.start(name=RIVAL)
    for name in (RIVAL, NAME):
        ask_a_person(name)
    return rival


def fuzz(
    scene: Scene,
    who: str,
    pipelines: tuple[str, ...],
    rival: Scene,
    *,
    leaving: frozenset[str] = frozenset(),
) -> Counter[int]:
    """Ask every operation in many ways, holding each answer against the description; statuses counted.

    Those whose paths are in *leaving* are left out.
    """
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {scene.tokens.get(who, who)}"}
    known: dict[str, Sequence[object]] = {
        "pipeline_id": list(pipelines),
        "run": [str(run_of(scene, "tester")), str(run_of(rival, "coder"))],
        "decision_id": [1, 2],
    }
    for operation in (each for each in operations() if each.path not in leaving):

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases(operation), data=st.data())
        def ask(case: Case[Any], data: st.DataObject) -> None:
            aim(case, data, known)
            answer = case.call(base_url=f"http://127.0.0.1:{scene.port}", headers=headers, timeout=30)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        ask()
    return statuses


def operations() -> list[Operation]:
    """Every operation of the API, what ends the pipeline last."""
    description = create_app().openapi()
    # Else it would make up credentials, and leave ours out.
    for method in (method for path in description["paths"].values() for method in path.values()):
        method.pop("security", None)
    results = schemathesis.openapi.from_dict(description).get_all_operations()
    found = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(found) == sum(len(path) for path in description["paths"].values())
    return sorted(found, key=lambda operation: operation.label.endswith(LAST))


def cases(operation: Operation) -> st.SearchStrategy[Case[Any]]:
    """Requests as the description has them, and others."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.path_parameters or operation.query or operation.body):
        return right
    return right | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def aim(case: Case[Any], data: st.DataObject, known: Mapping[str, Sequence[object]]) -> None:
    """Have most requests be about what and who is there, and none wait."""
    for name, values in known.items():
        if name in case.path_parameters and data.draw(st.integers(0, 3), label=name):
            case.path_parameters[name] = data.draw(st.sampled_from(values), label=f"known {name}")
    if case.query.get("wait"):
        case.query["wait"] = 0
    if isinstance(case.body, dict) and data.draw(st.integers(0, 3), label="body"):
        for name in WHO & case.body.keys():
            case.body[name] = data.draw(st.sampled_from(["coder", "tester", "all", "human"]), label=name)
        for name in {"in_reply_to", "metadata", "answers"} & case.body.keys():
            del case.body[name]
        if case.body.get("signal_type") != "readiness":
            case.body.pop("state", None)


def standing(scene: Scene, role: str) -> tuple[object, ...]:
    """Where a role stands: all that only its own credential may move."""
    with unit_of_work() as session:
        run = agent_runs.get_agent_run(session, run_id=run_of(scene, role))
        row = phase_runs.get_role(session, phase_run_id=run.phase_run_id, role=role)
        said = session.scalar(select(func.count()).where(Message.from_role == role))
        return row.state, row.reason, row.version, row.cursor, run.status, run.last_active_at, said
