"""A person's day with the command line alone: every kind of question, and `egg why` true at each step."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Egg
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

READY = "echo $EGG_AGENT_ROLE > $EGG_AGENT_ROLE.txt; git add .; git commit -qm work;"
READY += " egg signal readiness --state READY"
HEARD = "grep -q 'DIRECTIVE from human to coder' $EGG_PROMPT_FILE"
ASKS = (
    f"if {HEARD}; then egg context > $STAGE/context; {READY}; exit; fi; "
    "egg decision ask --question 'Tabs?' --option tabs --option spaces --free "
    "&& egg signal readiness --state BLOCKED"
)
FAILS_ONCE = f"test -e $STAGE/failed && {{ {READY}; exit; }}; touch $STAGE/failed; exit 3"
FAILS_LATER = "until test -e $STAGE/go; do sleep 0.1; done; exit 3"
GATE = {"question": "Ship it?", "options": ["approve", "request changes"], "after_minutes": 0.02}


@pytest.fixture
def stage(egg: Egg, tmp_path: Path) -> Stage:
    """A repository with one commit."""
    repository = tmp_path / "repository"
    git = (shutil.which("git") or "git", "-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run([*git, "init", "-q", "-b", "main", str(repository)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], cwd=repository, check=True)
    tmp_path.chmod(0o777)
    return Stage(egg, repository, tmp_path)


def test_a_person_answers_whatever_comes_and_is_told_the_truth(stage: Stage) -> None:
    egg = stage.egg
    scripts = {
        "coder": ASKS,
        "tester": FAILS_ONCE,
        "linter": "until test -e $STAGE/go; do sleep 0.1; done; exit 3",
    }
    stage.play("day", scripts, gate=GATE)

    egg.wait(lambda: _kinds(egg) == {"question", "failure"}, why="a question and a failure")
    failed = _pending(egg, "failure")
    assert egg.run("decision", "get", str(failed["id"]), check=False).returncode == 3
    why = _why(egg)
    assert f"a person's answer to decision {failed['id']}: tester failed (run 1)" in why["why"]
    assert f'egg decision resolve {failed["id"]} "' in str(why["decisions"])

    egg.run("pipeline", "pause", "day")
    assert _why(egg)["why"].startswith("it is paused: egg pipeline resume day; decision")
    stage.answer(failed, "Retry (respawn agent)")
    egg.run("pipeline", "resume", "day")
    (stage.directory / "go").touch()
    egg.wait(lambda: _kinds(egg) == {"question", "failure"}, why="the linter's failure")

    failed = _pending(egg, "failure")
    assert "linter failed (run 1)" in _why(egg)["why"]
    stage.answer(failed, "Continue without")
    egg.wait(lambda: egg.status("day") == "awaiting_human", why="nothing but the question being left")
    asked = _pending(egg, "question")
    assert _why(egg)["why"] == f"a person's answer to decision {asked['id']}: Tabs?"

    stage.answer(asked, "spaces, two of them")

    assert stage.end("day") == ("complete", "consensus")
    told = [m for m in stage.messages("day", "coder") if m["message_type"] == "DIRECTIVE"]
    assert (told[0]["to_role"], told[0]["body"]) == ("coder", "spaces, two of them")
    assert stage.written("context")["directives"][0]["answer"] == "spaces, two of them"
    gate = egg.json("decision", "list", "day")["decisions"][0]
    assert (gate["kind"], gate["status"], gate["resolution"]) == ("gate", "defaulted", "approve")
    assert _why(egg)["why"] == "agree ended by consensus"
    assert "decision.defaulted" in {event["type"] for event in egg.events("day")}


def _why(egg: Egg) -> dict[str, Any]:
    found: dict[str, Any] = egg.json("why", "day")
    return found


def _pending(egg: Egg, kind: str) -> dict[str, Any]:
    """The question of a kind that waits."""
    found: list[dict[str, Any]] = egg.json("decision", "list", "day", "--status", "pending")["decisions"]
    return next(decision for decision in found if decision["kind"] == kind)


def _kinds(egg: Egg) -> set[str]:
    found = egg.json("decision", "list", "day", "--status", "pending")["decisions"]
    return {decision["kind"] for decision in found}
