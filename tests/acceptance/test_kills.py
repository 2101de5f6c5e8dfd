"""Processes die in the middle of the demo; it ends the same way, and nobody is asked."""

import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg
from tests.acceptance.stage import Stage

pytestmark = pytest.mark.acceptance

PATIENT = """
touch "$STAGE/at-work"
until [ -e "$STAGE/go" ]; do sleep 0.2; done
egg signal readiness --state READY --reason "waited"
"""


def begin(egg: Egg, shop: Path, name: str) -> Path:
    """Run the demo's pipeline with agents that note each start and take their time; the notes."""
    starts = egg.home / f"{name}-starts"
    definition = shop / "egg.yaml"
    text = definition.read_text()
    for role in ("planner", "coder", "tester", "documenter"):
        program = f"python3 .egg/agents/{role}.py"
        noted = f"echo $EGG_AGENT_RUN_ID {role} >> {starts}; sleep 1.5; exec {program}"
        text = text.replace(f"[python3, .egg/agents/{role}.py]", f"[sh, -c, '{noted}']")
    definition.write_text(
        text.replace("concurrent_execution: true", "concurrent_execution: true\n  max_rounds: 20")
    )
    egg.run("run", "egg.yaml", "--name", name, "--detach", cwd=shop)
    egg.wait_for_event(name, "agent.started", phase="implement")
    return starts


def assert_ended_as_without_faults(egg: Egg, name: str, starts: Path) -> None:
    """The pipeline is complete by consensus, nobody was asked, and each agent run was started once."""
    egg.wait(lambda: egg.status(name) in {"complete", "failed"}, why=f"the end of {name}")
    phases = egg.json("phase", "list", name)["phases"]
    assert [phase["stop_reason"] for phase in phases] == ["consensus", "consensus"], egg.run(
        "events", name
    ).stdout
    assert egg.json("decision", "list", name)["decisions"] == []
    counted = Counter(line.split()[0] for line in starts.read_text().splitlines())
    assert [run for run, times in counted.items() if times != 1] == []
    assert "docs" in files(egg, name)


def files(egg: Egg, name: str) -> str:
    """What the work branch holds."""
    pipeline = egg.json("pipeline", "get", name)
    git = shutil.which("git") or "git"
    command = [
        git,
        "--git-dir",
        pipeline["repository"],
        "ls-tree",
        "-r",
        "--name-only",
        pipeline["work_branch"],
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_both_workers_are_killed_and_later_valkey(egg: Egg, shop: Path) -> None:
    starts = begin(egg, shop, "kill-one-by-one")

    workers = egg.kill("celery", "worker")
    egg.wait_for_event("kill-one-by-one", "branch.merged", phase="implement")
    servers = egg.kill("valkey-server")

    assert (workers >= 2, servers >= 1) == (True, True)
    assert egg.status("kill-one-by-one") == "running", "Valkey was killed too late to be missed"
    assert_ended_as_without_faults(egg, "kill-one-by-one", starts)


def test_everything_but_the_agents_is_killed(egg: Egg, shop: Path) -> None:
    starts = begin(egg, shop, "kill-services")

    for words in (
        ("supervisor",),
        ("postgres",),
        ("valkey-server",),
        ("celery",),
        ("uvicorn",),
        ("reconciler",),
    ):
        egg.kill(*words)
    egg.run("up")

    assert_ended_as_without_faults(egg, "kill-services", starts)


def test_everything_is_killed_with_the_agents(egg: Egg, shop: Path) -> None:
    starts = begin(egg, shop, "kill-all")

    for words in (
        ("supervisor",),
        ("shim.py",),
        ("postgres",),
        ("valkey-server",),
        ("celery",),
        ("uvicorn",),
        (),
    ):
        egg.kill(*words)
    egg.run("up")

    assert_ended_as_without_faults(egg, "kill-all", starts)


def test_an_api_that_hangs_is_replaced_while_its_agents_wait(egg: Egg, shop: Path, tmp_path: Path) -> None:
    stage = Stage(egg, shop, tmp_path)
    stage.play("hang-api", {"coder": PATIENT})
    egg.wait((tmp_path / "at-work").exists, why="the agent")
    [hung] = egg.processes("uvicorn")

    os.kill(hung, signal.SIGSTOP)
    (tmp_path / "go").touch()
    egg.wait(lambda: hung not in egg.processes("uvicorn"), why="the end of the API that hangs")
    egg.wait(lambda: egg.run("pipeline", "list", check=False).returncode == 0, why="another API")

    assert stage.end("hang-api") == ("complete", "consensus")
    assert len(stage.runs("hang-api", "coder")) == 1


PRECIOUS = """
[ -e "$STAGE/again" ] && { cp precious.txt "$STAGE/found"; exec egg signal readiness --state READY; }
touch "$STAGE/again"
echo committed > committed.txt; git add committed.txt; git commit -qm committed
echo precious > precious.txt
exec sleep 600
"""


def test_a_clone_is_destroyed_under_its_agent_and_all_is_killed_but_its_lines_are_there(
    egg: Egg, shop: Path, tmp_path: Path
) -> None:
    stage = Stage(egg, shop, tmp_path)
    stage.play("kill-clone", {"coder": PRECIOUS})
    egg.wait(lambda: bool(stage.runs("kill-clone", "coder")), why="the agent")
    run = str(stage.runs("kill-clone", "coder")[0]["run"])
    repository = Path(egg.json("pipeline", "get", "kill-clone")["repository"])
    git, ref = [shutil.which("git") or "git", "--git-dir", str(repository)], f"refs/egg/snapshots/{run}"

    def is_kept(path: str) -> bool:
        command = [*git, "cat-file", "-e", f"{ref}:{path}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    egg.wait(lambda: is_kept("precious.txt"), why="its snapshot")
    egg.kill("celery", "worker")
    egg.kill(run)
    shutil.rmtree(egg.home / "runs" / run / "clone")

    assert stage.end("kill-clone") == ("complete", "consensus")
    assert (tmp_path / "found").read_text() == "precious\n"
    [told] = stage.events("kill-clone", "agent.salvaged", "coder")
    assert "; from its snapshot of " in told["text"]
    assert "committed.txt" in files(egg, "kill-clone")
    assert "precious.txt" in files(egg, "kill-clone")
    egg.wait(lambda: not is_kept(""), why="the end of a snapshot that nobody needs any more")
