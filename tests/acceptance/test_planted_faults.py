"""Agents that do what they should not, each ending as the rules say; all of them play at the same time."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance import faulty_agents
from tests.acceptance.conftest import Egg
from tests.acceptance.faulty_agents import OBJECT, READY, WORK
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

FAILED = ["Retry (respawn agent)", "Abort phase", "Continue without"]
STALLED = ["Wait for resolution", "Retry (respawn agent)", "Accept current state", "Abort phase"]
REVIEWED = ({"role": "coder"}, {"role": "tester", "reviews": ["coder"], "needs": ["coder"]})


@pytest.fixture(scope="module")
def stage(egg: Egg, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Every faulty agent in a pipeline of its own, started at once."""
    directory = tmp_path_factory.mktemp("stage")
    repository = directory / "repository"
    person = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    (repository / "README.md").write_text("A small repository.\n")
    for command in (("add", "."), (*person, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    (directory / "trap").write_text(f"echo $1 >> {directory}/trapped\ncat\n")
    stage = Stage(egg, repository, directory)
    begin(stage)
    return stage


def begin(stage: Stage) -> None:
    """Start them all."""
    blocked = {
        "coder": "egg signal readiness --state BLOCKED --on tester",
        "tester": "egg signal readiness --state BLOCKED --on coder",
    }
    insist = f"{READY} || {READY} --answer 1='it is right as it is'"
    give_in = f"if grep -q 'has answered' $EGG_PROMPT_FILE; then {READY}; else {OBJECT}; fi"
    stage.play("flood", {"flooder": faulty_agents.FLOOD, "polite": faulty_agents.POLITE})
    stage.play("silent", {"coder": "true"})
    stage.play("torn", {"coder": faulty_agents.DIE})
    stage.play("cancel", {"coder": faulty_agents.LINGER})
    stage.play("crash", {"coder": "exit 3", "tester": READY})
    stage.play("crash-abort", {"coder": "exit 3", "tester": READY})
    stage.play("presume", {"coder": "exit 3", "tester": faulty_agents.PRESUME})
    stage.play("stall", blocked)
    stage.play("stall-abort", blocked)
    stage.play(
        "objecting",
        {"coder": f"{WORK}; {READY}", "tester": OBJECT},
        roles=REVIEWED,
        mode="waves",
        config={"max_rounds": 2},
    )
    stage.play("insist", {"coder": insist, "tester": give_in}, roles=REVIEWED, mode="waves")
    stage.play("forge", {"coder": faulty_agents.FORGE, "tester": READY}, roles=REVIEWED, mode="waves")
    stage.play("unchanged", {"coder": READY})
    stage.play("push", {"coder": faulty_agents.PUSH})
    soon = {"consensus_timeout_minutes": 0.05, "finalize_minutes": 0.05, "verdict_grace_seconds": 5}
    stage.play("endless", {"coder": faulty_agents.ENDLESS}, config=soon)
    late = {**soon, "finalize_minutes": 1}
    reviewed = ({"role": "coder"}, {"role": "tester", "reviews": ["coder"]})
    stage.play("late", {"coder": faulty_agents.LATE, "tester": READY}, roles=reviewed, config=late)
    stage.play("traps", {"coder": faulty_agents.SET_TRAPS}, check={"run": "true"})


def test_one_that_ends_without_a_verdict_is_run_twice_more_and_then_asked_about(stage: Stage) -> None:
    question = stage.question("silent")

    assert question["options"] == FAILED
    assert "without a verdict" in question["question"]
    assert [run["exit_code"] for run in stage.runs("silent", "coder")] == [0, 0, 0]
    assert len([e for e in stage.events("silent", "agent.queued") if "recovery" in e["text"]]) == 2


def test_a_first_ready_without_a_commit_is_version_1_of_an_unchanged_tree(stage: Stage) -> None:
    assert stage.end("unchanged") == ("complete", "consensus")
    assert [e["data"]["version"] for e in stage.events("unchanged", "readiness.changed")] == [1]
    assert stage.git("unchanged", "diff", "--stat", "main", "egg/unchanged/work") == ""


def test_an_unchanged_ready_with_an_objection_unanswered_is_refused_with_the_way_out(stage: Stage) -> None:
    assert stage.end("insist") == ("complete", "consensus")
    said = stage.egg.run("agent", "logs", "insist", "coder").stdout
    assert "objection 1 stands against you and your work is unchanged" in said
    assert '--answer 1="' in said
    assert len(stage.events("insist", "objection.withdrawn")) == 1


def test_one_that_objects_for_ever_ends_at_a_person(stage: Stage) -> None:
    question = stage.question("objecting")

    assert question["options"] == ["Override objections", *STALLED]
    assert "has run 2 times in this phase" in question["question"]
    stage.answer(question, "Override objections")
    assert stage.end("objecting") == ("complete", "consensus")
    assert len(stage.events("objecting", "objection.overruled")) == 1


def test_a_flood_loses_nothing_and_starves_nobody(stage: Stage) -> None:
    sent = stage.written("sent")

    assert stage.end("flood") == ("complete", "consensus")
    messages = stage.messages("flood", "flooder")
    assert [message["id"] for message in messages] == list(range(1, len(messages) + 1))
    assert sorted(m["body"] for m in messages if m["from_role"] == "flooder") == sorted(sent)
    assert [m["body"] for m in messages if m["from_role"] == "polite"] == ["please"]


def test_one_that_speaks_for_another_role_is_refused_and_nothing_is_written(stage: Stage) -> None:
    answers = stage.written("forged")

    assert stage.end("forge") == ("complete", "consensus")
    assert [status for status, _ in answers] == [403, 403]
    assert "cannot speak for tester" in answers[0][1]["message"]
    assert stage.messages("forge", "tester") == []
    (said,) = stage.events("forge", "readiness.changed", "tester")
    assert [said["run"]] == [run["run"] for run in stage.runs("forge", "tester")]


def test_one_that_answers_a_persons_question_is_refused(stage: Stage) -> None:
    ((status, answer),) = stage.written("presumed")

    assert (status, "operator" in answer["message"]) == (403, True)
    question = stage.question("presume")
    assert question["options"] == FAILED
    stage.answer(question, "Continue without")
    assert stage.end("presume") == ("complete", "consensus")


def test_one_that_writes_after_cancel_changes_nothing_and_its_work_is_kept(stage: Stage) -> None:
    stage.egg.wait((stage.directory / "lingers").exists, why="the agent that lingers")
    stage.egg.run("pipeline", "cancel", "cancel")
    (stage.directory / "cancelled").touch()

    answers = stage.written("lingered")

    assert [status for status, _ in answers] == [409, 409, 409]
    epoch = {"phase": "agree", "iteration": 1, "phase_status": "cancelled", "pipeline_status": "cancelled"}
    assert all(epoch.items() <= answer["details"].items() for _, answer in answers)
    stage.egg.wait_for_event("cancel", "agent.salvaged")
    assert stage.git("cancel", "show", "egg/cancel/coder:late.txt") == "late"
    assert stage.events("cancel", "readiness.changed") == []
    assert stage.messages("cancel", "coder") == []
    assert stage.git("cancel", "rev-parse", "egg/cancel/work") == stage.git("cancel", "rev-parse", "main")


def test_one_that_always_crashes_is_asked_about_again_and_the_phase_goes_on_without_it(stage: Stage) -> None:
    first = stage.question("crash")
    stage.answer(first, "Retry (respawn agent)")

    second = stage.question("crash")

    assert (first["options"], second["options"]) == (FAILED, FAILED)
    assert [run["exit_code"] for run in stage.runs("crash", "coder")] == [3, 3]
    stage.answer(second, "Continue without")
    assert stage.end("crash") == ("complete", "consensus")


def test_one_that_always_crashes_ends_the_phase_when_a_person_says_so(stage: Stage) -> None:
    stage.answer(stage.question("crash-abort"), "Abort phase")

    assert stage.end("crash-abort") == ("failed", None)


def test_two_that_wait_for_each_other_are_asked_about_until_a_person_accepts(stage: Stage) -> None:
    for times, words in enumerate(("Wait for resolution", "Retry (respawn agent)"), start=1):
        question = stage.question("stall")
        assert question["options"] == STALLED
        assert "coder is BLOCKED on tester; tester is BLOCKED on coder" in question["question"]
        assert len(stage.runs("stall", "coder")) == times
        stage.answer(question, words)

    stage.answer(stage.question("stall"), "Accept current state")

    assert stage.end("stall") == ("complete", "accepted")


def test_two_that_wait_for_each_other_end_the_phase_when_a_person_says_so(stage: Stage) -> None:
    stage.answer(stage.question("stall-abort"), "Abort phase")

    assert stage.end("stall-abort") == ("failed", None)


def test_uncommitted_work_of_one_that_is_killed_is_on_its_branch_and_its_successor_is_told(
    stage: Stage,
) -> None:
    stage.egg.wait((stage.directory / "torn").exists, why="the agent that is to die")
    (run,) = stage.runs("torn", "coder")

    assert stage.egg.kill("shim.py", run["run"]) == 1
    stage.egg.kill("torn.txt")

    assert stage.end("torn") == ("complete", "consensus")
    subjects = stage.git("torn", "log", "--format=%s", "egg/torn/coder").splitlines()
    assert "WIP: auto-commit uncommitted work (coder) [torn]" in subjects
    assert stage.git("torn", "show", "egg/torn/work:torn.txt") == "half\n"
    assert [found["status"] for found in stage.runs("torn", "coder")] == ["lost", "succeeded"]


def test_one_that_pushes_is_refused(stage: Stage) -> None:
    assert stage.end("push") == ("complete", "consensus")
    assert (stage.directory / "pushed").read_text() != "0\n"
    assert "agents-never-push" in (stage.directory / "push.err").read_text()
    head = subprocess.run(
        ["git", "-C", str(stage.repository), "log", "--format=%s", "--all"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert head.stdout == "first\n"
    assert stage.git("push", "log", "--format=%s", "main") == "first\n"


def test_what_an_agent_leaves_in_its_clone_never_runs(stage: Stage) -> None:
    assert stage.end("traps") == ("complete", "consensus")
    assert stage.git("traps", "show", "egg/traps/work:left.txt") == "left\n"
    assert "left.bin" not in stage.git("traps", "ls-tree", "--name-only", "egg/traps/work")
    assert "left.bin" in stage.events("traps", "agent.salvaged")[0]["text"]
    trapped = Path(stage.directory / "trapped")
    assert not trapped.exists(), trapped.read_text()


def test_one_that_never_ends_is_asked_to_then_stopped_and_its_work_is_kept(stage: Stage) -> None:
    question = stage.question("endless")

    assert question["options"] == ["Continue waiting", "Accept current state", "Abort phase"]
    stage.egg.wait_for_event("endless", "agent.salvaged")
    (run,) = stage.runs("endless", "coder")
    assert run["status"] == "succeeded"
    assert stage.git("endless", "show", "egg/endless/coder:half.txt") == "half\n"
    kind, by, why = (stage.directory / "told-CONVERGE").read_text().splitlines()
    assert (kind, why.split(".")[0]) == ("CONVERGE", "The phase takes too long")
    assert by > (stage.directory / "deadline").read_text().strip()
    assert (stage.directory / "told-FINALIZE").exists()
    said = [message["message_type"] for message in stage.messages("endless", "coder")]
    assert said == ["CONVERGE", "FINALIZE"]
    stage.answer(question, "Accept current state")
    assert stage.end("endless") == ("complete", "accepted")


def test_one_that_ends_late_is_taken_as_it_is(stage: Stage) -> None:
    assert stage.end("late") == ("complete", "converged")
    assert len(stage.events("late", "convergence.requested")) == 1
    assert len(stage.runs("late", "tester")) == 1
