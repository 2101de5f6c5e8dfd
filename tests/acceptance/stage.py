"""A stage for scripted agents: each script plays in a pipeline of one phase on a small repository."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Egg


@dataclass(frozen=True)
class Stage:
    """A stack, a small repository, and a directory where the agents leave what a test looks for."""

    egg: Egg
    repository: Path
    directory: Path

    def play(
        self,
        name: str,
        scripts: Mapping[str, str],
        *,
        roles: Sequence[Mapping[str, object]] | None = None,
        config: Mapping[str, object] | None = None,
        **phase: object,
    ) -> None:
        """Start a pipeline of one phase whose agents are scripts: Python if they import, else shell."""
        agents = {role: self._agent(script) for role, script in scripts.items()}
        definition = {
            "version": 1,
            "repo": str(self.repository),
            "prompt": "Agree.",
            "config": {"concurrent_execution": True, "objection_grace_seconds": 1, **(config or {})},
            "agents": agents,
            "phases": [{"name": "agree", "roles": roles or [{"role": role} for role in scripts], **phase}],
        }
        path = self.directory / f"{name}.yaml"
        path.write_text(json.dumps(definition))
        self.egg.run("run", str(path), "--name", name, "--detach")

    def end(self, name: str) -> tuple[str, str | None]:
        """Wait for the end of a pipeline; how it and its last phase ended."""
        ends = {"complete", "failed", "cancelled"}
        self.egg.wait(lambda: self.egg.status(name) in ends, why=f"the end of {name}")
        return self.egg.status(name), self.egg.json("phase", "list", name)["phases"][0]["stop_reason"]

    def question(self, name: str) -> dict[str, Any]:
        """Wait until a person is asked; the question."""
        self.egg.wait(lambda: bool(self._pending(name)), why=f"a question in {name}")
        return self._pending(name)[0]

    def answer(self, question: Mapping[str, Any], words: str) -> None:
        """Answer it as a person does."""
        self.egg.run("decision", "resolve", str(question["id"]), "--resolution", words)

    def runs(self, name: str, role: str) -> list[dict[str, Any]]:
        """The runs of a role, oldest first."""
        found: list[dict[str, Any]] = self.egg.json("agent", "list", name)["agents"]
        return [run for run in found[::-1] if run["role"] == role]

    def events(self, name: str, kind: str, role: str | None = None) -> list[dict[str, Any]]:
        """What happened of one kind."""
        return [e for e in self.egg.events(name) if e["type"] == kind and role in {None, e["role"]}]

    def messages(self, name: str, role: str) -> list[dict[str, Any]]:
        """All messages that a role may read, its own too."""
        found: list[dict[str, Any]] = []
        words = ("message", "poll", name, "--role", role, "--own", "--limit", "500", "--scope", "pipeline")
        while True:
            since = str(found[-1]["id"] if found else 0)
            page = self.egg.json(*words, "--since", since)["messages"]
            found += page
            if not page:
                return found

    def git(self, name: str, *arguments: str) -> str:
        """Ask the pipeline's repository."""
        repository = self.egg.json("pipeline", "get", name)["repository"]
        command = [shutil.which("git") or "git", "--git-dir", repository, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def written(self, name: str) -> Any:
        """Wait for what an agent wrote down, and read it."""
        self.egg.wait((self.directory / name).exists, why=f"the agent's {name}")
        return json.loads((self.directory / name).read_text())

    def _agent(self, script: str) -> dict[str, object]:
        program = ["python3", "-c"] if "\nimport " in script else ["sh", "-c"]
        return {
            "backend": "command",
            "command": [*program, script],
            "wake": "USR1" if " USR1" in script else "none",
            "environment": {"STAGE": str(self.directory)},
        }

    def _pending(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.egg.json("decision", "list", name, "--status", "pending")[
            "decisions"
        ]
        return found
