"""Deleting a pipeline: all that is its own goes, and nothing else."""

import subprocess
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from tenacity import Retrying, stop_after_delay, wait_fixed

from egg_tasks import reconciler
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.agents import deletions as service
from egg_tasks.services.agents.agent_runs import Salvaged
from egg_tasks.services.people import pipelines
from egg_tasks.tasks import pipelines as pipeline_tasks
from egg_tasks.use_cases import clearing
from egg_tasks.workspace import safety
from egg_tasks.workspace.atomic_directory import locked
from models.queries import agent_runs as rows
from models.queries import deletions
from models.queries import pipelines as pipeline_rows
from models.schemas.run import Exit
from models.tables.base import Base
from tests import fakes
from tests.integration.api_scene import GIT, NAME, Scene, merge
from tests.integration.test_api_events import read_event, streaming

OF_NO_PIPELINE = {"credential_holds", "nodes", "clock", "repairs", "halts"}


def due(session: Session) -> list[str]:
    """The pipelines whose removal would be tried a day later."""
    later = utcnow() + timedelta(days=1)
    return service.claim_due(session, now=later, limit=10)


def end(name: str = NAME, *, kept: tuple[str, ...] = ()) -> list[UUID]:
    """Cancel a pipeline, and play the workers that stop its agents; its runs."""
    with unit_of_work() as session:
        pipelines.cancel(session, pipeline_id=name, now=utcnow())
        runs = [run.id for run in rows.list_agent_runs(session, pipeline_id=name)]
    for run_id in runs:
        salvaged = Salvaged(None, is_ahead=False, kept=kept)
        with unit_of_work() as session:
            agent_runs.settle(
                session,
                run_id=run_id,
                outcome=Exit(stopped=True),
                salvaged=salvaged,
                report=fakes.report(Exit(stopped=True)),
                now=utcnow(),
            )
    return runs


def count() -> dict[str, int]:
    """How many rows each table has."""
    with unit_of_work() as session:
        return {
            table.name: session.scalars(select(func.count()).select_from(table)).one()
            for table in Base.metadata.sorted_tables
        }


def fill(scene: Scene) -> None:
    """Have something of every kind happen in the pipeline."""
    scene.commit("coder", "feature.py")
    scene.say("coder", "READY")
    merge("coder", 1)
    scene.say("tester", "OBJECTING", about="coder", reason="it has no test")
    body = {"message_type": "QUESTION", "to_role": "tester", "body": "What is missing?"}
    scene.ask("POST", f"/pipelines/{NAME}/messages", body, who="coder")
    question = {"question": "Which?", "options": ["a", "b"]}
    assert scene.ask("POST", f"/pipelines/{NAME}/decisions", question, who="coder").status == 201


def test_every_table_with_rows_of_a_pipelines_is_known() -> None:
    known = {table.name for table in deletions.list_tables()} | {"pipelines"} | OF_NO_PIPELINE

    assert {table.name for table in Base.metadata.sorted_tables} == known


def test_a_pipeline_that_runs_is_not_deleted_and_the_way_out_is_named(shop: Scene) -> None:
    answer = shop.ask("POST", f"/pipelines/{NAME}/delete")

    assert answer.status == 409
    assert answer.body["message"].endswith(f"end it first: egg pipeline cancel {NAME}")
    assert shop.ask("GET", f"/pipelines/{NAME}").status == 200


def test_one_whose_agents_are_being_stopped_is_not_deleted_yet(shop: Scene) -> None:
    shop.ask("POST", f"/pipelines/{NAME}/cancel")

    answer = shop.ask("POST", f"/pipelines/{NAME}/delete")

    assert answer.status == 409
    assert answer.body["details"]["unclosed"] == ["coder (run 1)", "tester (run 1)"]


def test_a_deleted_pipeline_leaves_no_row_and_no_file_and_its_name_is_free(shop: Scene) -> None:
    shop.create(name="shop-2")
    fill(shop)
    runs = end()
    home = shop.home
    (home / "roles" / NAME / "coder/home").mkdir(parents=True)
    for run_id in runs:
        (home / "shims" / str(run_id)).mkdir(parents=True)
    (home / "repos/shop-2.git").mkdir()

    assert shop.ask("POST", f"/pipelines/{NAME}/delete").status == 200
    is_gone = shop.ask("GET", f"/pipelines/{NAME}")
    clearing.delete_pipeline(NAME)
    clearing.tidy()

    assert (is_gone.status, is_gone.body["message"]) == (404, f"the pipeline {NAME} is deleted")
    assert shop.ask("GET", f"/pipelines/{NAME}/why").body["message"].startswith("there is no pipeline shop;")
    left = {name: number for name, number in count().items() if number and name != "nodes"}
    assert left == {"pipelines": 1, "message_streams": 1, "events": 1}
    found = {
        path.name for folder in ("repos", "roles", "runs", "shims") for path in (home / folder).iterdir()
    }
    assert found == {"shop-2.git", ".going"}
    assert shop.create() == NAME


def test_nothing_of_a_deleted_pipeline_is_found_while_it_goes(shop: Scene) -> None:
    end()
    shop.ask("POST", f"/pipelines/{NAME}/delete")

    listed = shop.ask("GET", "/pipelines").data["pipelines"]
    again = shop.ask("POST", f"/pipelines/{NAME}/delete")
    agents = shop.ask("GET", f"/pipelines/{NAME}/agents")

    assert listed == []
    assert (again.status, agents.status) == (404, 404)
    assert again.body["details"] == {"is_going": True}


def test_of_two_that_delete_the_slower_leaves_the_next_of_the_name_alone(shop: Scene) -> None:
    """It is held up where the quicker one has the row; by its end the repository may be another's."""
    end()
    repository = shop.home / "repos" / f"{NAME}.git"
    assert shop.ask("POST", f"/pipelines/{NAME}/delete").status == 200
    slower = threading.Thread(target=clearing.delete_pipeline, args=(NAME,))

    with unit_of_work() as session:
        assert pipeline_rows.lock_deleted(session, pipeline_id=NAME)
        slower.start()
        for attempt in Retrying(wait=wait_fixed(0.05), stop=stop_after_delay(30), reraise=True):
            with attempt:
                # Within a transaction it else stays as it was at the first look.
                session.execute(text("SELECT pg_stat_clear_snapshot()"))
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                assert session.scalar(text(query))
        deletions.delete_pipeline(session, pipeline_id=NAME)
    slower.join()

    assert repository.is_dir()


def test_a_pipeline_whose_repository_is_being_made_is_deleted_afterwards(shop: Scene) -> None:
    end()
    repository = shop.home / "repos" / f"{NAME}.git"
    assert shop.ask("POST", f"/pipelines/{NAME}/delete").status == 200

    with locked(repository.with_name(f"{NAME}.git.lock")):
        clearing.delete_pipeline(NAME)
        assert repository.is_dir()
        assert shop.ask("GET", f"/pipelines/{NAME}").body["details"]["is_going"]
    clearing.delete_pipeline(NAME)

    assert not repository.exists()
    assert shop.create() == NAME


def test_what_is_kept_of_a_run_keeps_its_pipeline(shop: Scene) -> None:
    runs = end(kept=("secret.bin",))

    answer = shop.ask("POST", f"/pipelines/{NAME}/delete")

    assert answer.status == 409
    assert f"egg gc --kept {runs[0]}" in answer.body["message"]
    assert shop.ask("GET", f"/pipelines/{NAME}/branches").data["refused"] == answer.body["message"]


def test_the_branches_that_are_nowhere_else_are_told_from_the_others(shop: Scene) -> None:
    fill(shop)
    source, repository = shop.home / "source", shop.home / "repos" / f"{NAME}.git"
    pull = ("fetch", "-q", str(repository), f"egg/{NAME}/coder:mine")
    subprocess.run([*GIT, *pull], cwd=source, check=True)
    before = shop.ask("GET", f"/pipelines/{NAME}/branches").data
    shop.commit("coder", "more.py")
    shop.say("coder", "READY")

    found = shop.ask("GET", f"/pipelines/{NAME}/branches").data
    subprocess.run(["rm", "-rf", str(source)], check=True)
    without = shop.ask("GET", f"/pipelines/{NAME}/branches").data

    assert told(before) == {f"egg/{NAME}/coder": True, f"egg/{NAME}/work": True}
    assert told(found) == {f"egg/{NAME}/coder": False, f"egg/{NAME}/work": True}
    assert found["why"] == ""
    assert [branch["is_elsewhere"] for branch in without["branches"]] == [False, False]
    assert without["why"].endswith(f"{source} does not exist")


def test_a_repository_that_cannot_be_asked_in_time_counts_as_holding_nothing(
    shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    monkeypatch.setattr(safety, "PATIENCE", timedelta(0))

    found = shop.ask("GET", f"/pipelines/{NAME}/branches").data

    assert set(told(found).values()) == {False}
    assert "could not be asked about each in 0 s" in found["why"]


def test_who_follows_a_pipeline_that_is_deleted_comes_to_an_end(scene: Scene) -> None:
    scene.create()
    with streaming(scene) as stream:
        read_event(stream)
        scene.ask("POST", f"/pipelines/{NAME}/delete")

        assert stream.read() == b""


def test_a_pipeline_that_repeats_a_deleted_one_stays_and_knows_its_name(scene: Scene) -> None:
    scene.create()
    scene.create(name="again")
    with unit_of_work() as session:
        again = pipeline_rows.lock_pipeline(session, pipeline_id="again")
        again.rerun_of = again.rerun_of_name = NAME

    scene.ask("POST", f"/pipelines/{NAME}/delete")
    clearing.delete_pipeline(NAME)

    with unit_of_work() as session:
        again = pipeline_rows.get_pipeline(session, pipeline_id="again")
        assert (again.rerun_of, again.rerun_of_name) == (None, NAME)


def test_the_users_repository_is_not_touched(shop: Scene) -> None:
    fill(shop)
    source = shop.home / "source"
    before = listing(source)

    end()
    shop.ask("POST", f"/pipelines/{NAME}/delete")
    clearing.delete_pipeline(NAME)

    assert listing(source) == before


def told(answer: dict[str, Any]) -> dict[str, bool]:
    """By branch, whether it is elsewhere."""
    return {branch["name"]: branch["is_elsewhere"] for branch in answer["branches"]}


def listing(directory: Path) -> list[tuple[str, int]]:
    """Every file there, and when it was last written."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in directory.rglob("*"))


def test_a_deletion_that_fails_is_tried_ever_more_rarely_and_then_said_where_a_person_looks(
    shop: Scene,
) -> None:
    end()
    assert shop.ask("POST", f"/pipelines/{NAME}/delete").status == 200
    in_the_way = shop.home / "repos" / f"{NAME}.git.lock"
    in_the_way.unlink()
    in_the_way.mkdir()
    for _ in range(service.BOUND.most):
        pipeline_tasks.delete(NAME)

    with unit_of_work() as session:
        assert not due(session)
    [held_up] = shop.ask("GET", "/overview").data["held_up"]
    assert (held_up["pipeline"], "Is a directory" in held_up["text"]) == (NAME, True)
    assert "`egg up` tries it again" in held_up["text"]
    assert "its files cannot be removed: " in shop.ask("GET", f"/pipelines/{NAME}").body["message"]

    in_the_way.rmdir()
    reconciler.try_held_up_again()
    with unit_of_work() as session:
        assert due(session)
    pipeline_tasks.delete(NAME)
    assert shop.ask("GET", f"/pipelines/{NAME}").body["message"].startswith("there is no pipeline")
