"""All pipelines at once over HTTP: the overview, what runs, the inbox."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import event

from egg_tasks.clock import utcnow
from egg_tasks.database import engine, unit_of_work
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.people import decisions as answers
from egg_tasks.services.people import pipelines
from models.consensus.step import DecisionKind
from models.queries import agent_runs as agent_rows
from models.queries import decisions, phase_runs
from models.queries import pipelines as rows
from models.schemas.run import Exit
from models.states import PipelineStatus
from models.tables import Decision, move_to
from tests import fakes
from tests.integration.api_rows import run_of
from tests.integration.api_scene import NAME, Scene

HOUR = timedelta(hours=1)


def begin(scene: Scene, *names: str) -> None:
    """Start pipelines whose repositories are still to come."""
    for name in names:
        scene.create(name=name)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow())


def ask(
    pipeline: str,
    kind: DecisionKind = DecisionKind.FAILURE,
    *roles: str,
    after: timedelta | None = None,
    holds_all: bool = False,
) -> int:
    """Have a pipeline ask a person; its number."""
    with unit_of_work() as session:
        phase_run = phase_runs.find_last_phase_run(session, pipeline_id=pipeline)
        assert phase_run is not None
        asked = Decision(
            pipeline_id=pipeline,
            phase_run_id=phase_run.id,
            key=f"{utcnow().timestamp()}",
            kind=kind,
            question=f"What of {pipeline}?",
            options=["yes", "no"],
            default="yes",
            roles=list(roles),
            deadline=after and utcnow() + after,
            created_at=utcnow(),
        )
        decisions.add_decision(session, decision=asked)
        if holds_all:
            pipeline_row = rows.lock_pipeline(session, pipeline_id=pipeline)
            move_to(pipeline_row, PipelineStatus.AWAITING_HUMAN)
        return asked.id


def pages(scene: Scene, path: str, key: str) -> Iterator[Mapping[str, object]]:
    """Everything in a list, two at a time."""
    after, sign = "", "&" if "?" in path else "?"
    while True:
        page = scene.ask("GET", f"{path}{sign}limit=2{after}").data
        assert len(page[key]) <= 2
        yield from page[key]
        if page["next_after"] is None:
            return
        after = f"&after={page['next_after']}"


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are executed while the context lasts."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        said.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    yield said
    event.remove(engine(), "before_cursor_execute", note)


@pytest.fixture
def town(scene: Scene) -> Scene:
    """Six pipelines, which need a person more or less."""
    begin(scene, "calm", "aside", "roles", "late", "soon", "paused")
    ask("aside", DecisionKind.QUESTION)
    ask("roles", DecisionKind.FAILURE, "coder")
    ask("late", holds_all=True)
    ask("soon", after=HOUR, holds_all=True)
    ask("paused", after=timedelta(minutes=1), holds_all=True)
    assert scene.ask("POST", "/pipelines/paused/pause").status == 200
    return scene


def test_the_inbox_has_first_what_holds_up_most_and_is_decided_soonest(town: Scene) -> None:
    found = list(pages(town, "/decisions?status=pending", "decisions"))

    assert [each["pipeline_id"] for each in found] == ["soon", "late", "roles", "aside", "paused"]
    assert [each["holds"] for each in found] == ["pipeline", "pipeline", "roles", "nobody", "pipeline"]
    assert town.ask("GET", "/decisions?status=pending&after=99").status == 404


def test_questions_that_are_answered_are_listed_newest_first(town: Scene) -> None:
    for number in (1, 2):
        with unit_of_work() as session:
            answers.resolve(session, decision_id=number, resolution="no", now=utcnow())

    found = list(pages(town, "/decisions?status=resolved", "decisions"))

    assert [(each["id"], each["holds"]) for each in found] == [(2, "nobody"), (1, "nobody")]
    assert [each["id"] for each in pages(town, "/decisions", "decisions")] == [5, 4, 3, 2, 1]


def test_what_runs_is_listed_with_what_needs_a_person_first(town: Scene) -> None:
    town.create(name="pending")
    begin(town, "cancelled", "new")
    town.ask("POST", "/pipelines/cancelled/cancel")

    found = list(pages(town, "/overview/pipelines", "pipelines"))

    names = ["soon", "late", "roles", "aside", "new", "calm", "paused"]
    assert [each["id"] for each in found] == names
    assert [each["questions"] for each in found] == [1, 1, 1, 1, 0, 0, 1]
    assert town.ask("GET", "/overview/pipelines").data["total"] == len(names)
    assert town.ask("GET", "/overview/pipelines?after=nope").status == 404


def test_a_running_pipeline_says_who_does_what_and_what_it_waits_for(shop: Scene) -> None:
    shop.say("tester", "BLOCKED", on="coder")
    shop.ask("POST", f"/pipelines/{NAME}/signal", {"signal_type": "progress", "reason": "half"}, who="coder")

    found = shop.ask("GET", "/overview/pipelines").data["pipelines"][0]

    assert found["roles"] == [
        {"role": "coder", "state": "WORKING", "condition": "WORKING", "run": "running"},
        {"role": "tester", "state": "BLOCKED", "condition": "BLOCKED", "run": "running"},
    ]
    assert (found["last_event"]["type"], found["last_event"]["text"]) == ("agent.progress", "half")
    assert "coder" in found["why"]


def test_a_page_takes_as_many_statements_whatever_is_on_it(town: Scene) -> None:
    paths = ("/overview/pipelines", "/decisions?status=pending", "/overview")

    def statements() -> list[int]:
        numbers = []
        for path in paths:
            with counted() as said:
                assert town.ask("GET", path).status == 200
            numbers.append(len(said))
        return numbers

    few = statements()
    names = [f"more-{number}" for number in range(20)]
    begin(town, *names)
    for name in names:
        ask(name)

    assert statements() == few


def test_the_overview_counts_what_there_is_and_names_what_is_urgent(town: Scene) -> None:
    found = town.ask("GET", "/overview").data

    assert found["pipelines"] == {"running": 3, "awaiting_human": 2, "paused": 1}
    assert (found["questions"], len(found["first_questions"])) == (5, 3)
    assert found["first_questions"][0]["pipeline_id"] == "soon"
    assert found["disk"]["free_bytes"] > 0
    assert (found["nodes"], found["halt"], found["failures"]) == ([], None, [])


def test_the_overview_tells_what_failed_last_who_takes_places_and_what_is_late(shop: Scene) -> None:
    with unit_of_work() as session:
        agent_rows.get_agent_run(session, run_id=run_of(shop, "coder")).isolation = "docker"
    with unit_of_work() as session:
        agent_runs.settle(
            session,
            run_id=run_of(shop, "tester"),
            outcome=Exit(exit_code=3),
            salvaged=None,
            report=fakes.report(Exit(exit_code=3)),
            now=utcnow(),
        )
    with unit_of_work() as session:
        phase_run = phase_runs.find_live_phase_run(session, pipeline_id=NAME)
        assert phase_run is not None
        phase_run.next_evaluation_at = utcnow() - HOUR

    found = shop.ask("GET", "/overview").data

    assert found["nodes"] == [{"name": "n", "places": 10, "taken": 1, "contained": 1}]
    assert [(each["pipeline"], each["role"], each["failure"]) for each in found["failures"]] == [
        (NAME, "tester", "process_failure")
    ]
    assert found["failures"][0]["text"] == "tester failed (run 1): exit code 3"
    assert found["late"]["number"] == 1
