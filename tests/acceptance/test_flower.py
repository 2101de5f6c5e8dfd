"""Flower shows the agents by phase, role and pipeline, and every queue, to those who may look."""

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


def test_the_broker_page_names_every_queue(egg: Egg) -> None:
    def are_shown() -> bool:
        page = ask(egg, "/broker").decode()
        return all(f">{name}<" in "".join(page.split()) for name in ("control", "agents", "agents.local"))

    egg.wait(are_shown, why="the queues control, agents and agents.local on Flower's Broker page")


def test_a_running_agent_is_a_started_task_of_its_phase_role_and_pipeline(
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
        shown = [t for t in tasks.values() if t["name"] == "agent:slow:coder" and t["state"] == "STARTED"]
        return any(t["kwargs"] == "pipeline=flower" for t in shown)

    egg.wait(is_shown, why="agent:slow:coder as STARTED in Flower")
    egg.run("pipeline", "cancel", "flower")
    egg.wait(lambda: not egg.processes("sleep", "60"), why="the end of the cancelled agent")
