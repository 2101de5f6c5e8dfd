"""What an egg leaves behind in the middle of a phase: python -m tests.left_behind EGG NAME.

EGG is the command of a release (or of a commit that is checked out elsewhere), NAME what it is to be
called here. A stack of it is brought up; of a phase of four roles one is READY and merged and has handed
over, one asks a person, one's process was killed, so that a retry is owed, and one is at work. Rows and
repositories of that moment go to tests/data/left_behind/NAME/, where tests/acceptance/test_upgrade.py has
the egg of today take them up. It is done at each release, beside `python -m tests.interface`, and may be
done for any commit in between.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from egg_tasks.stack.binaries import find_postgres
from tests.acceptance.conftest import Egg

KEPT = Path(__file__).parent / "data/left_behind"
PIPELINE = "left-behind"
NODE = "left-node"
WAIT = "LEFT_WAIT"
"""Seconds for which an agent is at work: long where it is left, and none where it is taken up."""

QUESTION = "Which words?"
SCRIPTS = {
    "coder": "[ -e done.txt ] || { echo done > done.txt; git add .; git commit -qm Done; }; "
    "egg message send --to tester --type HANDOFF --subject 'Version one' --body 'Look at done.txt.'; "
    "egg signal readiness --state READY",
    "documenter": "[ -e asked.txt ] && exec egg signal readiness --state READY; "
    f"egg decision ask --question '{QUESTION}' --option Short --option Long --default Short; "
    "echo asked > asked.txt; git add .; git commit -qm Asked; "
    "egg signal readiness --state BLOCKED --reason 'waits for a person'",
    "tester": 'sleep "$WAIT"; egg sync; egg signal readiness --state READY',
    "linter": 'sleep "$WAIT"; egg signal readiness --state READY',
}
DEFINITION = """
version: 1
repo: {repository}
prompt: Say that it is done.
config: {{concurrent_execution: true, max_rounds: 20}}
agents:
{agents}
phases:
  - name: work
    roles: [{{role: coder}}, {{role: documenter}}, {{role: linter}}, {{role: tester, reviews: [coder]}}]
"""
AGENT = "  {role}: {{backend: command, command: [sh, -c, {script}], environment: {{WAIT: {{from: {wait}}}}}}}"
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")


def main(program: str, name: str) -> None:
    """Bring such a stack up, keep what it has in the middle, and take it down."""
    home = Path(tempfile.mkdtemp(prefix="egg-", dir="/tmp"))
    home.chmod(0o711)
    egg = Egg(home / "home", {"EGG_NODE": NODE, WAIT: "900"}, str(Path(program).absolute()))
    (home / "home").mkdir(mode=0o711)
    try:
        egg.run("up")
        begin(egg, home / "repository")
        target = KEPT / name
        target.mkdir(parents=True, exist_ok=True)
        keep(egg, target)
    finally:
        egg.run("down", "--agents", check=False)
        shutil.rmtree(home, ignore_errors=True)


def begin(egg: Egg, repository: Path) -> None:
    """Start the pipeline and wait until everybody is where they are to be left."""
    subprocess.run([*GIT, "init", "-q", "-b", "main", str(repository)], check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "First"], cwd=repository, check=True)
    quoted = {role: '"' + script.replace('"', '\\"') + '"' for role, script in SCRIPTS.items()}
    agents = "\n".join(AGENT.format(role=role, script=text, wait=WAIT) for role, text in quoted.items())
    (egg.home / "left.yaml").write_text(DEFINITION.format(repository=repository, agents=agents))
    egg.run("run", "left.yaml", "--name", PIPELINE, "--detach")
    egg.wait_for_event(PIPELINE, "branch.merged", role="coder")
    egg.wait_for_event(PIPELINE, "decision.created")
    for role in ("tester", "linter"):
        egg.wait_for_event(PIPELINE, "agent.started", role=role)
    until(lambda: len(sleeping(egg)) == 2)
    (pid,) = [pid for pid in sleeping(egg) if b"EGG_AGENT_ROLE=linter" in environment(pid)]
    os.kill(pid, signal.SIGKILL)
    egg.wait(lambda: "lost" in [run["status"] for run in runs(egg, "linter")], why="a lost run")


def keep(egg: Egg, target: Path) -> None:
    """Write rows first, then repositories, as docs/howto/back-up.md says."""
    database = egg.json("env")["variables"]["EGG_DATABASE_URL"]
    dump = [
        find_postgres({}) / "pg_dump",
        "--schema=egg",
        "--no-owner",
        "--file",
        target / "rows.sql",
        database,
    ]
    subprocess.run(dump, check=True)
    packed = ["tar", "-C", str(egg.home), "--sort=name", "-czf", str(target / "repos.tar.gz"), "repos"]
    subprocess.run(packed, check=True)


def runs(egg: Egg, role: str) -> list[dict[str, str]]:
    """A role's runs."""
    found = egg.json("agent", "list", PIPELINE)["agents"]
    return [run for run in found if run["role"] == role]


def sleeping(egg: Egg) -> list[int]:
    """The agents that are at work."""
    return [pid for pid in egg.processes() if b"EGG_AGENT_ROLE=" in environment(pid) and is_shell(pid)]


def is_shell(pid: int) -> bool:
    """Whether a process is the agent itself and no child of its."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sh\0")


def environment(pid: int) -> bytes:
    """What a process found in its environment."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
