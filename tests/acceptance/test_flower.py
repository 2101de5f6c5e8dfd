"""Flower shows the agents by phase and role, to those who may look."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance


def ask(egg: Egg, path: str, *, login: bool = True) -> bytes:
    """Read a page of Flower."""
    stack = json.loads((egg.home / "stack.json").read_text())
    request = urllib.request.Request(stack["flower_url"] + path)  # noqa: S310 - our own loopback address
    if login:
        word = base64.b64encode(stack["flower_login"].encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return bytes(answer.read())


def test_nobody_looks_without_the_login(egg: Egg) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(egg, "/tasks", login=False)


def test_a_running_agent_is_a_started_task_of_its_phase_and_role(
    egg: Egg, tmp_path: Path, shop: Path
) -> None:
    definition = tmp_path / "slow.yaml"
    definition.write_text(
        f"""
version: 1
repo: {shop}
prompt: Take your time.
agents:
  coder: {{backend: command, command: [sleep, "60"]}}
phases:
  - {{name: slow, roles: [{{role: coder}}]}}
"""
    )
    egg.run("run", str(definition), "--name", "flower", "--detach")
    egg.wait_for_event("flower", "agent.started")

    def is_shown() -> bool:
        tasks = json.loads(ask(egg, "/api/tasks?limit=1000"))
        return any(t["name"] == "agent:slow:coder" and t["state"] == "STARTED" for t in tasks.values())

    egg.wait(is_shown, why="agent:slow:coder as STARTED in Flower")
    egg.run("pipeline", "cancel", "flower")
    egg.wait(lambda: not egg.processes("sleep", "60"), why="the end of the cancelled agent")
