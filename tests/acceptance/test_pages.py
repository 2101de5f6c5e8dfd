"""Every command of the how-to pages is typed: by a person in their repository, or as one of its agents."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from egg_tasks.demo.repository import make_repository
from egg_tasks.stack.binaries import find_postgres
from tests.acceptance.conftest import Egg
from tests.pages import AS_AGENT, ROOT, TYPED_BY, WHEN_IT_CAN_BE, Block, blocks, pages

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

NAME = "rate-limit"
PATIENCE = 60.0
WAITS = 3
"""The exit code of what a person has still to answer."""
ARRIVE = (
    'echo "$EGG_AGENT_ROLE" > work.txt; git add .; git commit -qm work; egg signal readiness --state READY'
)
BUSY = "sleep 600"
SCENE = {
    "version": 1,
    "repo": ".",
    "prompt": "Limit the rate.",
    "config": {"concurrent_execution": True, "verdict_grace_seconds": 3600, "objection_grace_seconds": 600},
    "agents": {
        name: {"backend": "command", "command": ["sh", "-c", script]}
        for name, script in {
            "coder": f"{ARRIVE}; {BUSY}",
            "tester": BUSY,
            "documenter": BUSY,
            "linter": "echo no rules; exit 1",
        }.items()
    },
    "phases": [
        {
            "name": "implement",
            "roles": [{"role": role} for role in ("coder", "tester", "documenter", "linter")],
            "convergence": {},
        }
    ],
}
"""What the pages speak of: coder is READY and lives on, two are at work, linter has failed: you are asked."""


QUICK = {
    **SCENE,
    "agents": {
        "coder": {"backend": "command", "command": ["egg", "signal", "readiness", "--state", "READY"]}
    },
    "phases": [{"name": "implement", "roles": [{"role": "coder"}]}],
}
"""The reader's own definition, `egg.yaml`."""


@dataclass(frozen=True)
class Scene:
    """A pipeline as the pages have it, in a repository of the reader's."""

    egg: Egg
    shop: Path

    def text(self, block: Block) -> str:
        """What one would type here: the numbers of this stack for those of the page."""
        text = block.text.replace("PIPELINE", NAME).replace("ROLE", "coder")
        text = re.sub(r"^\$ ", "", text.replace("--reply-to 7", "--reply-to 1"), flags=re.MULTILINE)
        if found := re.search(r"decision (?:get|resolve) (\d+)", text):
            text = re.sub(rf"(decision \w+) {found[1]}\b", rf"\1 {self.question()}", text)
        return text

    def question(self) -> int:
        """The question that waits; waits for it."""
        found: list[int] = []

        def asked() -> bool:
            pending = self.egg.json("decision", "list", NAME)["decisions"]
            found[:] = [each["id"] for each in pending if each["kind"] == "failure"]
            return bool(found)

        self.egg.wait(asked, why="the question about linter")
        return found[0]

    def agent(self) -> tuple[Path, dict[str, str]]:
        """Where tester works, and what it finds in its environment that it speaks with."""

        def live() -> list[str]:
            runs = self.egg.json("agent", "list", NAME)["agents"]
            return [run["run"] for run in runs if run["role"] == "tester" and run["status"] == "running"]

        self.egg.wait(lambda: bool(live()), why="tester at work")
        (run,) = live()
        token = (self.egg.home / "shims" / run / "token").read_text().strip()
        url = json.loads((self.egg.home / "stack.json").read_text())["api_url"]
        said = {"EGG_SESSION_TOKEN": token, "EGG_ORCHESTRATOR_URL": url, "EGG_PIPELINE_ID": NAME}
        return self.egg.home / "runs" / run / "clone", said


@pytest.fixture(scope="module")
def scene(egg: Egg, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A pipeline as the pages have it, and a message to reply to."""
    shop = make_repository(tmp_path_factory.mktemp("person") / "shop")
    (shop / "scene.yaml").write_text(json.dumps(SCENE))
    (shop / "egg.yaml").write_text(json.dumps(QUICK))
    (shop / "new").mkdir()
    (shop / "new" / "egg.yaml").write_text(json.dumps({**QUICK, "repo": ".."}))
    egg.run("run", "egg.yaml", "--name", "shop", cwd=shop)
    egg.run("run", "scene.yaml", "--name", NAME, "--detach", cwd=shop)
    egg.wait_for_event(NAME, "branch.merged", role="coder")
    egg.run("message", "send", NAME, "--to", "tester", "--type", "STATUS", "--subject", "Go on")
    yield Scene(egg, shop)
    egg.run("pipeline", "cancel", NAME, check=False)


TYPED = [
    path
    for path in pages()
    if str(path.relative_to(ROOT)) not in TYPED_BY
    and path.parent.name != "reference"
    and any(block.is_run for block in blocks(path))
]


@pytest.mark.parametrize("path", TYPED, ids=lambda path: path.stem)
def test_the_commands_of_a_page_do_what_they_are_for(scene: Scene, path: Path) -> None:
    for block in blocks(path):
        if block.is_run:
            refused = type_block(scene, block)
            assert refused is None, f"{block}: {refused}"


def type_block(scene: Scene, block: Block) -> str | None:
    """Type a block into one shell, again for a while if it may have to wait; what was refused."""
    is_agents = block.mark == AS_AGENT
    place, said = scene.agent() if is_agents else (scene.shop, {})
    environment = {
        "PATH": f"{Path(scene.egg.program).parent}:{os.environ['PATH']}:{find_postgres({})}",
        "HOME": str(scene.shop.parent),
        **({} if is_agents else {"EGG_HOME": str(scene.egg.home), **scene.egg.environment}),
        **said,
    }
    if is_agents:
        # It has seen what the others have published.
        typed("egg sync", place, environment)
    deadline = time.monotonic() + (PATIENCE if block.mark == WHEN_IT_CAN_BE else 0)
    # Where a block is typed again, what it began before may be done: then its last line alone counts.
    script = f"{'trap - ERR' if block.mark == WHEN_IT_CAN_BE else ''}\n{scene.text(block)}"
    while (refused := typed(script, place, environment)) and time.monotonic() < deadline:
        time.sleep(1)
    return refused


def typed(script: str, place: Path, environment: dict[str, str]) -> str | None:
    """Type lines into a shell; what it said if one was refused. That somebody is to answer is no refusal."""
    guard = f"set -E; trap 'code=$?; [ $code = {WAITS} ] || exit $code' ERR\n"
    done = subprocess.run(
        ["bash", "-c", guard + script],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    return None if done.returncode in {0, WAITS} else f"{script}\n{done.stdout}{done.stderr}"
