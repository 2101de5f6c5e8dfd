"""Which server a command talks to, and with which credential."""

import json
import os
from typing import TYPE_CHECKING

from cli import shell
from egg_tasks.client import Client, Json
from models.errors import Forbidden, Unauthenticated, Unavailable, Unprocessable

if TYPE_CHECKING:  # agents must start fast
    from pathlib import Path

AGENT_PATIENCE = 60.0
OPERATOR_PATIENCE = 5.0

NO_STACK = (
    "no egg stack is running here; start one with `egg up`, "
    "or set EGG_ORCHESTRATOR_URL and EGG_OPERATOR_TOKEN"
)


URL, TOKEN, SECRETS = "EGG_ORCHESTRATOR_URL", "EGG_OPERATOR_TOKEN", "EGG_SECRETS_DIR"


def home() -> "Path":
    """The directory of the local stack."""
    from egg_tasks.config import default_home

    return default_home(shell.environ())


def secrets() -> "Path | None":
    """Where the local stack's machine has its secrets; None where what is said of that is no place."""
    from egg_tasks.config import secrets_directory

    try:
        return secrets_directory({SECRETS: _said_anyhow(SECRETS) or ""}, home())
    except Unprocessable:
        return None


def manifest() -> Json | None:
    """What the local stack says of itself in its stack.json; None if there is none that may be read."""
    try:
        found = json.loads((home() / "stack.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "api_url" in found else None


def own_home() -> "Path | None":
    """The local stack's directory, if commands talk to that stack and its directory is this user's.

    Then what its workers would do there can be done here, with all this user can reach.
    """
    url, stack, directory = _said_anyhow(URL), manifest(), home()
    if url and (stack is None or url.rstrip("/") != str(stack["api_url"]).rstrip("/")):
        return None
    try:
        return directory if directory.stat().st_uid == os.geteuid() else None
    except FileNotFoundError:
        return directory
    except OSError:
        return None


def follower() -> Client:
    """The operator's client for a command that waits: as patient as an agent's, once it has seen a server."""
    return operator(once_seen=AGENT_PATIENCE)


def operator(*, patience: float = OPERATOR_PATIENCE, once_seen: float | None = None) -> Client:
    """A client with the operator's credential: the environment's, settings.toml's, or the local stack's.

    A local stack that is down is not waited for.
    """
    if shell.is_agents() and not shell.said(TOKEN):
        raise Forbidden(
            "this command is for people; you are an agent: see `egg message`, `signal`, `sync`, `context`"
        )
    said = _said()
    url, token = said.get(URL), said.get(TOKEN)
    if url and token:
        from cli.versions import tell_of_server

        return Client(url, token, patience=patience, once_seen=once_seen, hear_version=tell_of_server)
    stack = manifest()
    if stack is None or (url and url.rstrip("/") != str(stack["api_url"]).rstrip("/")):
        if url:
            raise Unauthenticated(f"EGG_OPERATOR_TOKEN is not set, and {url} is not the stack of {home()}")
        raise Unavailable(NO_STACK)
    first = 0 if is_down() else patience
    once_seen = patience if once_seen is None else once_seen
    own = token or str(stack["operator_token"])
    return Client(str(stack["api_url"]), own, patience=first, once_seen=once_seen)


def agent() -> Client:
    """A client with the credential of the agent run this process belongs to."""
    token = shell.said(shell.SESSION_TOKEN)
    if not token:
        raise Unauthenticated(
            "EGG_SESSION_TOKEN is not set: this command is for agents, and egg starts them with it"
        )
    url = shell.said(URL) or (manifest() or {}).get("api_url")
    if not url:
        raise Unavailable("EGG_ORCHESTRATOR_URL is not set: egg starts agents with it")
    # What an agent quotes of a program may hold the key that it was given.
    names = shell.said("EGG_HIDDEN").split()
    hides = {name: shell.said(name) for name in names}
    return Client(str(url), token, patience=AGENT_PATIENCE, hides=hides)


def anyone() -> Client:
    """A client for commands of both: the agent run's credential if there is one, else the operator's."""
    return agent() if shell.is_agents() else operator()


def url() -> str:
    """Where the server is that commands talk to; empty where nothing says."""
    return _said_anyhow(URL) or str((manifest() or {}).get("api_url") or "")


def is_given() -> bool:
    """Whether a server is named that is not the local stack's, so that none must be started instead."""
    url = _said_anyhow(URL)
    return bool(url) and str((manifest() or {}).get("api_url")).rstrip("/") != str(url).rstrip("/")


def _said() -> "dict[str, str]":
    """The environment with what only settings.toml says; an agent reads no settings of ours."""
    if shell.is_agents():
        return dict(shell.environ())
    from egg_tasks.settings_file import completed

    return completed(shell.environ(), home())


def _said_anyhow(name: str) -> str | None:
    """What is said of one setting, also where settings.toml cannot be read."""
    try:
        return _said().get(name)
    except Unprocessable:
        return shell.said(name)


def is_down() -> bool:
    """Whether no local stack runs, nor starts."""
    from egg_tasks.stack import lock

    return lock.holder(home()) is None


def is_reachable() -> bool:
    """Whether the server commands would talk to answers now."""
    try:
        operator(patience=0).get("/health")
    except (Unavailable, Unauthenticated, Unprocessable):
        return False
    return True
