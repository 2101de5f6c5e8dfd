"""Questions over HTTP: who asks is known from the credential, and what is asked is checked."""

import pytest

from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import agent_runs
from models.schemas.run import Exit
from models.schemas.text import MAX_OPTION, MAX_OPTIONS, MAX_QUESTION
from tests import fakes
from tests.integration.api_rows import run_of
from tests.integration.api_scene import NAME, Scene

PATH = f"/pipelines/{NAME}/decisions"


def test_an_agents_question_is_read_as_it_was_asked(shop: Scene) -> None:
    body = {"question": "Which?", "options": ["one", "two"], "default": "two", "after_minutes": 30}
    answer = shop.ask("POST", PATH, body, who="coder")

    found = answer.data["decision"]
    assert answer.status == 201
    assert (found["asked_by"], found["kind"], found["status"]) == ("coder", "question", "pending")
    assert (found["default"], found["is_free"], bool(found["deadline"])) == ("two", False, True)


def test_a_retried_question_is_one_decision(shop: Scene) -> None:
    body = {"question": "Which?", "client_key": "k"}

    numbers = {shop.ask("POST", PATH, body, who="coder").data["decision"]["id"] for _ in range(2)}

    assert len(numbers) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"question": " "},
        {"question": "x" * (MAX_QUESTION + 1)},
        {"question": "Which?", "options": ["x" * (MAX_OPTION + 1)]},
        {"question": "Which?", "options": [str(number) for number in range(MAX_OPTIONS + 1)]},
        {"question": "Which?", "options": ["one", "One "]},
        {"question": "Which?", "options": ["one"], "default": "two"},
        {"question": "Which?", "after_minutes": 1},
        {"question": "Which?", "options": ["one"], "after_minutes": 0},
        {"question": "Which?", "roles": ["tester"]},
    ],
)
def test_a_question_that_is_none_is_refused(shop: Scene, body: object) -> None:
    assert shop.ask("POST", PATH, body, who="coder").status == 422


def test_why_tells_a_question_aside_and_that_a_paused_pipeline_waits(shop: Scene) -> None:
    shop.ask("POST", PATH, {"question": "Which?"}, who="coder")
    why = shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]
    shop.ask("POST", f"/pipelines/{NAME}/pause")
    paused = shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]

    assert why == "coder is WORKING; tester is WORKING; coder asks decision 1: Which?"
    assert paused == f"it is paused: egg pipeline resume {NAME}; decision 1 waits with it"


def test_what_a_failed_agent_wrote_is_shown_to_the_operator_and_not_to_other_agents(shop: Scene) -> None:
    with unit_of_work() as session:
        agent_runs.settle(
            session,
            run_id=run_of(shop, "coder"),
            outcome=Exit(exit_code=1),
            salvaged=None,
            report=fakes.report(Exit(exit_code=1), "KeyError"),
            now=utcnow(),
        )
    number = shop.ask("GET", PATH).data["decisions"][0]["id"]
    paths = [PATH, f"{PATH}/{number}", f"/decisions/{number}"]

    def tails(who: str) -> list[object]:
        found = [shop.ask("GET", path, who=who).data for path in paths]
        each = [one.get("decision") or one["decisions"][0] for one in found]
        return [[failed["log_tail"] for failed in one["failures"]] for one in each]

    assert tails("operator") == [[["KeyError"]]] * 3
    assert tails("tester") == [[]] * 3


def test_the_context_of_an_agent_carries_what_was_answered(shop: Scene) -> None:
    number = shop.ask("POST", PATH, {"question": "Which?"}, who="coder").data["decision"]["id"]
    shop.ask("POST", f"{PATH}/{number}/resolve", {"resolution": "the blue one"})

    context = shop.ask("GET", f"/pipelines/{NAME}/context", who="tester").data["context"]

    assert context["directives"] == [{"number": number, "question": "Which?", "answer": "the blue one"}]
