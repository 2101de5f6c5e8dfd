"""Everything an agent says to the orchestrator, through the `egg` command. Copy this file and change it.

An agent run is one invocation: look at the context, work, commit, give a verdict, exit. There is nothing to
wait for in a loop; the orchestrator starts a new run when there is a reason to, and names it in the causes.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast


class Cause(TypedDict):
    """Why this run was started; kind is first, message, unblocked, stale, objection, answered, …"""

    kind: str
    text: str


class Objection(TypedDict):
    """What one role says is wrong with a version of another."""

    number: int
    from_role: str
    about_role: str
    version: int
    status: str
    round: int
    reason: str
    answer: str | None


class Message(TypedDict):
    """A line on the pipeline's bus, as far as these agents look at it."""

    id: int
    from_role: str
    to_role: str
    message_type: str
    subject: str
    body: str
    in_reply_to: int | None


class Context(TypedDict):
    """What this run should know now, as far as these agents look at it."""

    role: str
    task: str
    roster: list[dict[str, object]]
    causes: list[Cause]
    objections: list[Objection]
    messages: list[Message]
    conflicts: list[str]
    check_log: str


class Refused(Exception):
    """The orchestrator refused; the text says why, and the way out."""


def egg(*arguments: str) -> str:
    """Run the `egg` command and return what it printed."""
    done = subprocess.run(["egg", *arguments], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr.strip() or f"egg {arguments[0]} ended with {done.returncode}")
    return done.stdout


def context() -> Context:
    """Read what this run should know: task, roster, causes, objections, new messages."""
    return cast(Context, json.loads(egg("context")))


def only_messages(known: Context) -> bool:
    """Whether this run was started to talk and for nothing else: then no verdict is owed."""
    return all(cause["kind"] == "message" for cause in known["causes"])


def send(message_type: str, subject: str, *, to: str = "all", reply_to: int | None = None) -> None:
    """Put a line of up to 200 characters on the bus; QUESTION, RESPONSE and HANDOFF wake a role."""
    words = ["--to", to, "--type", message_type, "--subject", subject[:200]]
    egg("message", "send", *words, *(["--reply-to", str(reply_to)] if reply_to else []))


def poll(*arguments: str) -> list[Message]:
    """Read messages for this role: the unread ones, or with `--since 0` all of this phase run."""
    return cast(list[Message], json.loads(egg("message", "poll", "--json", *arguments))["messages"])


def answer_questions(known: Context, answer: str) -> None:
    """Answer what was asked of this role before the run or during it, each question once."""
    new = {message["id"]: message for message in [*known["messages"], *poll()]}
    for message in new.values():
        if message["message_type"] in {"QUESTION", "DIRECTIVE"}:
            send("RESPONSE", answer, to=message["from_role"], reply_to=message["id"])


def commit(message: str, *paths: Path) -> bool:
    """Commit these paths; False when nothing in them changed."""
    names = [str(path) for path in paths]
    subprocess.run(["git", "add", "--force", "--", *names], check=True)
    if subprocess.run(["git", "diff", "--cached", "--quiet"], check=False).returncode == 0:
        return False
    subprocess.run(["git", "commit", "--quiet", f"--message={message}"], check=True)
    return True


def ready(reason: str, answers: Mapping[int, str] | None = None) -> None:
    """Say that this role is done with what is committed; *answers* are words for objections, by number."""
    words = [f"--answer={number}={text}" for number, text in (answers or {}).items()]
    egg("signal", "readiness", "--state", "READY", "--reason", reason, *words)


def objecting(reason: str, *, about: str) -> None:
    """Say what is wrong with the version of *about* that this clone holds."""
    egg("signal", "readiness", "--state", "OBJECTING", "--about", about, "--reason", reason)


def blocked(reason: str, *, on: str) -> bool:
    """Say that this role cannot go on before *on* is READY again; False when that has happened already.

    After True, exit: a new run starts when it has happened. After False, bring its work in: `has_seen`.
    """
    try:
        egg("signal", "readiness", "--state", "BLOCKED", "--on", on, "--reason", reason)
    except Refused as refusal:
        print(refusal)
        return False
    return True


def has_seen(role: str) -> bool:
    """Bring what is merged into this clone; whether it holds a version that *role* made in this phase now."""
    return f" {role} version " in egg("sync")


def wait_for(role: str) -> bool:
    """Whether this clone holds a version of *role*; if not, this role is now BLOCKED on it."""
    for _ in range(100):
        if has_seen(role):
            return True
        if blocked(f"I need the work of the {role}", on=role):
            return False
        time.sleep(0.2)  # it is READY, and the orchestrator is still merging it
    raise SystemExit(f"{role} is READY, but its work never reached this clone")
