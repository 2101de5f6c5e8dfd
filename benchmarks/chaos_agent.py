"""The agents of the chaos run: a role each, several rounds, files that end the same however often they die.

coder writes `1` and, once the tester has objected, `2`; tester objects to what lacks the `2`; documenter
copies what the coder wrote; integrator waits for the tester. Whatever is in the way is said as BLOCKED.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from egg_tasks.client import Client, Json
from models.errors import Conflict

PATIENCE = 120.0
"""Seconds the orchestrator may be away: longer than it takes to start all of it."""

PIPELINE, PHASE = os.environ["EGG_PIPELINE_ID"], os.environ["EGG_PHASE"]
ROLE, RUN = os.environ["EGG_AGENT_ROLE"], os.environ["EGG_AGENT_RUN_ID"]
BOARD = Path(os.environ["CHAOS"])
READY: Json = {"state": "READY"}


def main(client: Client) -> None:
    """Work until the orchestrator takes a verdict, or says that the run is over."""
    note("starts", RUN)
    time.sleep(random.uniform(0.2, 1.5))  # noqa: S311 - an agent's pace is no secret
    say(client, {"message_type": "STATUS", "body": f"{PHASE} {ROLE} {RUN}"}, key=RUN)
    while True:
        verdict = ROLES[ROLE](client)
        try:
            signal = {"signal_type": "readiness", **verdict}
            client.post(f"/pipelines/{PIPELINE}/signal", signal, repeatable=True)
        except Conflict as refusal:
            if "phase_status" in refusal.details:
                return
            subprocess.run(["egg", "sync"], check=True, stdout=subprocess.DEVNULL)
        else:
            return


def coder(client: Client) -> Json:
    """Write the first line, and the second when somebody objects."""
    known = client.get(f"/pipelines/{PIPELINE}/context")["context"]
    accused = any(objection["about_role"] == ROLE for objection in known["objections"])
    keep("1\n2\n" if accused or "2" in read("coder") else "1\n")
    return READY


def tester(client: Client) -> Json:
    """Object to the coder's work while it has one line, and ask the documenter something meanwhile."""
    if not read("coder"):
        return {"state": "BLOCKED", "on": "coder"}
    keep("tested\n")
    if "2" in read("coder"):
        return READY
    question = {"message_type": "QUESTION", "to_role": "documenter", "body": f"{PHASE}: one line?"}
    say(client, question, key=f"{PHASE}-question")
    return {"state": "OBJECTING", "about": "coder", "reason": "the second line is missing"}


def documenter(_client: Client) -> Json:
    """Copy the coder's work."""
    if not read("coder"):
        return {"state": "BLOCKED", "on": "coder"}
    keep(read("coder"))
    return READY


def integrator(_client: Client) -> Json:
    """Come after the tester."""
    if not read("tester"):
        return {"state": "BLOCKED", "on": "tester"}
    keep("integrated\n")
    return READY


ROLES: dict[str, Callable[[Client], Json]] = {
    role.__name__: role for role in (coder, tester, documenter, integrator)
}


def say(client: Client, message: Json, *, key: str) -> None:
    """Send a message once, however often it is tried, and note that it was taken."""
    try:
        sent = client.post(f"/pipelines/{PIPELINE}/messages", {**message, "client_key": key})["message"]
    except Conflict:
        return
    note("sent", f"{PIPELINE}\t{sent['id']}\t{message['body']}")


def read(role: str) -> str:
    """What a role has written in this phase, as far as this clone has it."""
    path = Path(PHASE, f"{role}.txt")
    return path.read_text() if path.exists() else ""


def keep(content: str) -> None:
    """Have one's own file hold *content*, committed."""
    path = Path(PHASE, f"{ROLE}.txt")
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    subprocess.run(["git", "add", "."], check=True)
    if subprocess.run(["git", "diff", "--cached", "--quiet"], check=False).returncode:
        subprocess.run(["git", "commit", "-qm", f"{ROLE} in {PHASE}"], check=True)


def note(name: str, line: str) -> None:
    """Append a line whole; agents write at the same time."""
    with (BOARD / name).open("a") as file:
        file.write(f"{line}\n")


if __name__ == "__main__":
    main(Client(os.environ["EGG_ORCHESTRATOR_URL"], os.environ["EGG_SESSION_TOKEN"], patience=PATIENCE))
