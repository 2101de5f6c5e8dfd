"""Verdicts and other signals over HTTP."""

import subprocess
from datetime import datetime
from pathlib import Path

from egg_tasks.adapters import workspace
from egg_tasks.database import unit_of_work
from models.queries import agent_runs
from tests.integration.api_rows import run_of
from tests.integration.api_scene import GIT, NAME, Scene

SIGNAL = f"/pipelines/{NAME}/signal"


def _git(directory: Path, *command: str) -> str:
    return subprocess.run(
        [*GIT, *command], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_ready_takes_the_clones_head_as_a_version(shop: Scene) -> None:
    shop.commit("coder", "shop.py")

    answer = shop.say("coder", "READY", reason="done")

    assert answer.data["readiness"] == {"role": "coder", "state": "READY", "reason": "done", "version": 1}
    assert answer.data["consensus"]["blocking_agents"] == ["tester"]


def test_ready_moves_the_roles_branch_to_its_version(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")

    versions = shop.ask("GET", f"/pipelines/{NAME}/phases").data["phases"][0]["versions"]

    assert workspace().find_branch(NAME, branch=f"egg/{NAME}/coder") == versions[0]["commit"]


def test_versions_that_a_role_threw_away_are_each_kept_on_a_branch(shop: Scene) -> None:
    thrown_away = []
    for number in range(3):
        shop.commit("coder", f"try-{number}.py")
        shop.say("coder", "READY")
        thrown_away.append(_git(shop.clone("coder"), "rev-parse", "HEAD"))
        _git(shop.clone("coder"), "reset", "--hard", "-q", "HEAD~1")
    repository = shop.home / "repos" / f"{NAME}.git"

    branches = {
        commit: _git(repository, "branch", "--contains", commit, "--format=%(refname:short)")
        for commit in thrown_away
    }

    assert all(branches.values()), branches


def test_ready_with_uncommitted_work_is_refused_by_path(shop: Scene) -> None:
    (shop.clone("coder") / "shop.py").write_text("half")

    answer = shop.say("coder", "READY")

    assert (answer.status, answer.body["details"]["paths"]) == (409, ["shop.py"])


def test_a_refused_ready_is_remembered_until_one_is_taken(shop: Scene) -> None:
    (shop.clone("coder") / "shop.py").write_text("half")
    shop.say("coder", "READY")
    refused = _refused_at(shop, "coder")
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")

    assert refused is not None
    assert _refused_at(shop, "coder") is None


def test_ready_twice_is_one_version(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")

    assert shop.say("coder", "READY").data["readiness"]["version"] == 1


def test_blocked_on_what_is_there_already_is_refused_with_the_way_out(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")

    answer = shop.say("tester", "BLOCKED", on="coder")

    assert answer.status == 409
    assert "egg sync" in answer.body["message"]


def test_an_objection_is_named_by_why(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")
    commit = shop.ask("GET", f"/pipelines/{NAME}/phases").data["phases"][0]["versions"][0]["commit"]
    _merge(shop, commit)
    shop.ask("POST", f"/pipelines/{NAME}/sync", who="tester")

    answer = shop.say("tester", "OBJECTING", about="coder", reason="it sells nothing")

    assert answer.data["consensus"]["has_objections"] is True
    why = shop.ask("GET", f"/pipelines/{NAME}/why").data["why"]
    assert "tester is OBJECTING to coder's version 1" in why


def test_sync_says_what_the_clone_has_of_the_others(shop: Scene) -> None:
    shop.commit("coder", "shop.py")
    shop.say("coder", "READY")
    commit = shop.ask("GET", f"/pipelines/{NAME}/phases").data["phases"][0]["versions"][0]["commit"]
    _merge(shop, commit)

    answer = shop.ask("POST", f"/pipelines/{NAME}/sync", who="tester")

    assert answer.data == {"head": commit, "seen": {"coder": 1}}


def test_a_signal_in_anothers_name_is_refused(shop: Scene) -> None:
    assert shop.say("coder", "WORKING", role="tester").status == 403
    assert shop.say("coder", "WORKING", pipeline_id="other").status == 403


def test_complete_names_what_to_say_instead(shop: Scene) -> None:
    answer = shop.ask("POST", SIGNAL, {"signal_type": "complete"}, who="coder")

    assert answer.status == 422
    assert "readiness" in answer.body["message"]


def test_an_error_stands_beside_its_run_and_in_an_event_and_is_told_to_nobody(shop: Scene) -> None:
    shop.ask("POST", SIGNAL, {"signal_type": "error", "reason": "no network at all"}, who="coder")

    page = shop.ask("GET", f"/pipelines/{NAME}/messages", who="tester").data
    agents = shop.ask("GET", f"/pipelines/{NAME}/agents").data["agents"]
    events = shop.ask("GET", f"/pipelines/{NAME}/events").data["events"]

    assert page["messages"] == []
    assert {agent["role"]: agent["error"] for agent in agents}["coder"] == "no network at all"
    assert ("agent.error", "no network at all") in [(event["type"], event["text"]) for event in events]


def test_progress_is_an_event(shop: Scene) -> None:
    shop.ask("POST", SIGNAL, {"signal_type": "progress", "reason": "half way"}, who="coder")

    events = shop.ask("GET", f"/pipelines/{NAME}/events").data["events"]

    assert ("agent.progress", "half way") in [(event["type"], event["text"]) for event in events]


def test_how_far_a_run_is_stands_beside_it_and_in_an_event(shop: Scene) -> None:
    said = {"signal_type": "progress", "reason": "tests written", "percent": 40}
    shop.ask("POST", SIGNAL, said, who="coder")

    agents = shop.ask("GET", f"/pipelines/{NAME}/status").data["concurrent"]["agents"]
    events = shop.ask("GET", f"/pipelines/{NAME}/events").data["events"]

    found = {agent["role"]: agent["progress"] for agent in agents}
    assert (found["coder"]["percent"], found["coder"]["text"]) == (40, "tests written")
    assert found["tester"] is None
    assert ("agent.progress", "40%: tests written") in [(event["type"], event["text"]) for event in events]


def test_a_percentage_goes_with_progress_alone(shop: Scene) -> None:
    said = [{"signal_type": "heartbeat", "percent": 1}, {"signal_type": "progress", "percent": 101}]

    assert [shop.ask("POST", SIGNAL, each, who="coder").status for each in said] == [422, 422]


def test_the_context_holds_the_task_and_the_roster(shop: Scene) -> None:
    context = shop.ask("GET", f"/pipelines/{NAME}/context", who="tester").data["context"]

    assert context["task"] == "Sell things."
    assert [entry["role"] for entry in context["roster"]] == ["coder", "tester"]


def _merge(shop: Scene, commit: str) -> None:
    """Bring a commit of the coder's into the tester's clone, as `egg sync` does with the work branch."""
    subprocess.run(["git", "fetch", "-q", "origin"], cwd=shop.clone("tester"), check=True)
    subprocess.run(["git", "merge", "-q", commit], cwd=shop.clone("tester"), check=True)


def _refused_at(shop: Scene, role: str) -> datetime | None:
    with unit_of_work() as session:
        return agent_runs.get_agent_run(session, run_id=run_of(shop, role)).refused_at
