"""Stopping all, as a person types it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

WORK = "echo 1 > $EGG_AGENT_ROLE; git add .; git commit -qm work; egg signal readiness --state READY"


@pytest.fixture
def stopped(egg: Egg) -> Iterator[Egg]:
    """A stack where all is stopped; it goes on for the tests that follow."""
    egg.run("stop-all", "--why", "the bill")
    yield egg
    egg.run("stop-all", "--lift")


def test_nothing_starts_until_stop_all_is_lifted(stopped: Egg, shop: Path, tmp_path: Path) -> None:
    stage = Stage(stopped, shop, tmp_path)
    stage.play("halted", {"coder": WORK})
    stage.egg.wait_for_event("halted", "agent.queued")

    why = stopped.run("why", "halted").stdout
    assert "(the bill): no agent starts until `egg stop-all --lift`" in why
    assert [run["status"] for run in stage.runs("halted", "coder")] == ["queued"]
    assert stage.events("halted", "agent.started") == []

    stopped.run("stop-all", "--lift")

    assert stage.end("halted") == ("complete", "consensus")


def test_an_agent_is_stopped_and_run_again(egg: Egg, shop: Path, tmp_path: Path) -> None:
    stage = Stage(egg, shop, tmp_path)
    stage.play(
        "ordered", {"coder": f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; sleep 60; }}; {WORK}"}
    )
    egg.wait((tmp_path / "again").exists, why="the first run")

    egg.run("agent", "stop", "ordered", "coder")
    assert "was stopped by a person" in stage.question("ordered")["question"]
    egg.run("agent", "retry", "ordered", "coder")

    assert stage.end("ordered") == ("complete", "consensus")
    assert [run["failure"] for run in stage.runs("ordered", "coder")] == ["stopped", None]


def test_what_needs_a_person_is_said_in_one_place_whichever_pipeline_it_is(
    egg: Egg, shop: Path, tmp_path: Path
) -> None:
    stage = Stage(egg, shop, tmp_path)
    says = (
        "egg signal progress --percent 40 --message 'half way'; egg message send --type STATUS --subject hm"
    )
    stage.play("overseen", {"coder": f"{says}; exit 3"})
    asked = stage.question("overseen")

    status = egg.json("status")
    assert status["is_well"]
    assert status["overview"]["questions"] >= 1
    assert {each["name"] for each in status["stack"]["processes"]} >= {"api", "worker-control"}
    assert ("overseen", "coder") in [(one["pipeline"], one["role"]) for one in status["overview"]["failures"]]
    assert asked["id"] in [one["id"] for one in egg.json("decision", "list")["decisions"]]
    assert f"decision resolve {asked['id']}" in egg.run("why").stdout
    assert egg.run("watch", "--wait", check=False).returncode == 3
    said = egg.json("message", "list", "overseen", "--from", "coder")["messages"]
    assert [message["subject"] for message in said] == ["hm"]
    agent = egg.json("pipeline", "status", "overseen")["concurrent"]["agents"][0]
    assert (agent["progress"]["percent"], agent["progress"]["text"]) == (40, "half way")
    assert "worker-agents" in [log["name"] for log in egg.json("logs")["logs"]]

    stage.answer(asked, "Abort phase")
    assert stage.end("overseen")[0] == "failed"
