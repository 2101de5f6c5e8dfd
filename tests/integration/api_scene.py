"""The API over a real database, Redis and git, with one pipeline whose agents are played by the test."""

import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Pool, QueuePool

from egg_tasks import adapters, config, database, outbox, wakeups
from egg_tasks.api.app import create_app
from egg_tasks.api.connections import Connection
from egg_tasks.api.streaming import Pace
from egg_tasks.clock import utcnow
from egg_tasks.database import unit_of_work
from egg_tasks.outbox import VersionKey
from egg_tasks.services.agents import agent_runs
from egg_tasks.services.engine import merges
from egg_tasks.services.people import pipelines
from models.queries import agent_runs as rows
from models.queries import phase_runs, versions
from models.schemas.definition import validate
from models.states import MergeStatus
from tests.fakes import runs_in

OPERATOR = "operators-own"
NAME = "shop"
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """What is in the envelope."""
        found = self.body["data"]
        assert isinstance(found, dict), self.body
        return found


@dataclass
class Scene:
    """A served API, and who may speak to it."""

    port: int
    home: Path
    tokens: dict[str, str] = field(default_factory=lambda: {"operator": OPERATOR})
    app: FastAPI = field(default_factory=FastAPI)
    """The application, in this process."""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: str | None = "operator",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Ask once, as somebody or nobody; *raw* is a body that need not be JSON."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if who is not None:
            given["Authorization"] = f"Bearer {self.tokens.get(who, who)}"
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/api/v1{path}", body=content, headers=given)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        named = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in named.get("content-type", "")
        return Answer(response.status, named, json.loads(text) if is_json else {})

    def create(self, **changes: object) -> str:
        """Make a repository and a pipeline of a coder and a tester who reviews it."""
        repository = self.home / "source"
        if not repository.exists():
            subprocess.run([*GIT, "init", "-q", "-b", "main", str(repository)], check=True)
            subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "one"], cwd=repository, check=True)
        document = definition(repository) | changes
        with unit_of_work() as session:
            return pipelines.create(session, definition=validate(document), now=utcnow()).id

    def start(self, **changes: object) -> None:
        """Create a pipeline and bring its two agents to life, each with a clone and a token."""
        name = self.create(**changes)
        with unit_of_work() as session:
            pipelines.start(session, pipeline_id=name, now=utcnow())
        workspace = adapters.workspace()
        commit = workspace.prepare(name, source=str(self.home / "source"), base="HEAD")
        with unit_of_work() as session:
            pipelines.prepared(session, pipeline_id=name, base_commit=commit, now=utcnow())
            # Nobody is sent what is played here.
            due = runs_in(outbox.of(session).parcels)
            outbox.of(session).parcels.clear()
        for run in due:
            self.bring_to_life(run.role, run.run_id)
            workspace.open_clone(name, role=run.role, run_id=run.run_id, work_commit=commit)

    def bring_to_life(self, role: str, run_id: UUID) -> None:
        """Play the worker that starts a run."""
        token = f"token-of-{run_id}"
        with unit_of_work() as session:
            rows.add_token(session, run_id=run_id, token_hash=hashlib.sha256(token.encode()).digest())
            agent_runs.claim(session, run_id=run_id, owner="w", node="n", capacity=10, now=utcnow())
        with unit_of_work() as session:
            agent_runs.started(session, run_id=run_id, now=utcnow())
        self.tokens[role] = token

    def clone(self, role: str) -> Path:
        """The clone a role works in."""
        return self.home / "runs" / self.tokens[role].removeprefix("token-of-") / "clone"

    def commit(self, role: str, name: str, text: str = "text") -> None:
        """Commit a file in a role's clone."""
        (self.clone(role) / name).write_text(text)
        for command in (("add", "-A"), ("commit", "-q", "-m", name)):
            subprocess.run([*GIT, *command], cwd=self.clone(role), check=True)

    def say(self, who: str, state: str, **more: object) -> Answer:
        """Signal readiness as a role's agent."""
        body = {"signal_type": "readiness", "state": state, **more}
        return self.ask("POST", f"/pipelines/{NAME}/signal", body, who=who)


def merge(role: str, number: int) -> MergeStatus:
    """Play the worker that merges a version; what became of it."""
    with unit_of_work() as session:
        phase_run = phase_runs.find_live_phase_run(session, pipeline_id=NAME)
        assert phase_run is not None
        key = VersionKey(phase_run.id, role, number)
        made = merges.order(session, version=key)
    assert made is not None
    result = adapters.workspace().merge(
        NAME, work=made.work_commit, version=made.commit, message=made.message
    )
    with unit_of_work() as session:
        merges.settle(session, version=key, made=made, result=result, now=utcnow())
    with unit_of_work() as session:
        row = versions.find_version(session, phase_run_id=key.phase_run_id, role=role, number=number)
        assert row is not None
        return row.merge_status


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def head(scene: Scene, method: str, path: str, who: str, *lines: str) -> bytes:
    """The head of a request."""
    words = (
        f"{method} /api/v1{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {scene.tokens.get(who, who)}",
        "Content-Type: application/json",
        *lines,
    )
    return ("\r\n".join(words) + "\r\n\r\n").encode()


def connect(scene: Scene, said: bytes = b"") -> socket.socket:
    """A connection on which something was said."""
    connection = socket.create_connection(("127.0.0.1", scene.port), timeout=30)
    connection.sendall(said)
    return connection


def status(connection: socket.socket) -> int:
    """The status of the answer that comes."""
    return int(connection.recv(65536).split(b" ", 2)[1])


def definition(repository: Path) -> dict[str, object]:
    """A definition document of one phase."""
    program = {"backend": "command", "command": ["true"]}
    roles = [{"role": "coder"}, {"role": "tester", "reviews": ["coder"]}]
    return {
        "version": 1,
        "name": NAME,
        "repo": str(repository),
        "prompt": "Sell things.",
        "config": {"concurrent_execution": True},
        "agents": {"coder": program, "tester": program},
        "phases": [{"name": "implement", "roles": roles}],
    }


@contextmanager
def served(home: Path, pace: Pace | None = None) -> Iterator[Scene]:
    """Serve the API of the environment on a free port until the context ends."""
    forget()
    app = create_app(pace)
    # Whatever the settings, these are the same, and it is the first request for them that builds them.
    app.router.routes[:] = _built().router.routes
    app.openapi_schema = _built().openapi()
    configuration = uvicorn.Config(
        app, port=0, http=Connection, ws="none", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(configuration)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield Scene(server.servers[0].sockets[0].getsockname()[1], home, app=app)
    finally:
        server.should_exit = True
        thread.join()
        forget()


@cache
def _built() -> FastAPI:
    return create_app()


def forget() -> None:
    """Have the environment read anew. Each database's engine stays: it knows statements it has compiled."""
    if config.settings.cache_info().currsize:
        _await_return(database.engine().pool)
        database.engine().dispose()
    if wakeups.connection.cache_info().currsize:
        wakeups.connection().close()
    for known in (config.settings, adapters.workspace, adapters.runner, wakeups.connection):
        known.cache_clear()


def _await_return(pool: Pool) -> None:
    """Wait for the connections that threads of a server which has ended still use."""
    assert isinstance(pool, QueuePool)
    deadline = time.monotonic() + 30
    while pool.checkedout() and time.monotonic() < deadline:
        time.sleep(0.01)
