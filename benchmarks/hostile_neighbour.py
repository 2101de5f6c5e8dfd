"""The agents beside a hostile one: one sends lines, the other waits for them and says how late each came.

    hostile_neighbour.py talker|listener

Each gives its verdict when all lines are there. Standard library only, and started with `python -I -S`.
"""

import json
import os
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

LINES, PAUSE_SECONDS = 12, 0.2
PATIENCE_SECONDS = 120.0
BUSY = {429, 503}
PIPELINE = f"/api/v1/pipelines/{os.environ['EGG_PIPELINE_ID']}"


def ask(method: str, path: str, body: object = None) -> dict[str, object]:
    """Ask the API, again as long as it has no time for us; what it answers."""
    until = time.monotonic() + PATIENCE_SECONDS
    headers = {
        "Authorization": f"Bearer {os.environ['EGG_SESSION_TOKEN']}",
        "Content-Type": "application/json",
    }
    while True:
        connection = HTTPConnection(urlsplit(os.environ["EGG_ORCHESTRATOR_URL"]).netloc, timeout=60)
        try:
            connection.request(method, PIPELINE + path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, HTTPException) as error:
            status, text = 503, type(error).__name__
        else:
            status = answer.status
        finally:
            connection.close()
        if status < 300:  # noqa: PLR2004 - HTTP's own number
            return dict(json.loads(text)["data"])
        if status not in BUSY or time.monotonic() > until:
            raise SystemExit(f"{method} {path}: {status} {text}")
        time.sleep(0.1)


def talk() -> None:
    """Send the lines, each with the time in it."""
    for number in range(LINES):
        line = {
            "message_type": "STATUS",
            "to_role": "listener",
            "client_key": f"{os.environ['EGG_PHASE']} {number}",
        }
        ask("POST", "/messages", {**line, "body": repr(time.time())})
        time.sleep(PAUSE_SECONDS)


def listen() -> None:
    """Wait for the lines, and write down the milliseconds each took."""
    late: list[float] = []
    since = 0
    while len(late) < LINES:
        page = ask("GET", f"/messages?since_id={since}&wait=30&type=STATUS")
        now = time.time()
        messages = page["messages"]
        assert isinstance(messages, list)  # noqa: S101
        late += [1000 * (now - float(message["body"])) for message in messages]
        since = int(str(page["next_since_id"]))
    with Path(os.environ["HOSTILE"]).open("a", encoding="utf-8") as board:
        board.write("".join(f"{each:.2f}\n" for each in late))


def main() -> None:
    """Play the role, then say READY."""
    {"talker": talk, "listener": listen}[sys.argv[1]]()
    ask("POST", "/signal", {"signal_type": "readiness", "state": "READY", "reason": "all lines are there"})


if __name__ == "__main__":
    main()
