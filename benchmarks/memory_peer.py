"""A peer: the bus as a list in memory behind the same HTTP door, searched from its start by id.

That is how egg keeps its messages. It knows no credentials, writes nothing to disk and forgets all when it
ends. Run under uvicorn.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from egg_tasks.stack import probes, tcp_ports

FIRST_PORT = 8799

app = FastAPI()
messages: list[dict[str, Any]] = []
waiting: set[asyncio.Event] = set()


@app.post("/api/v1/pipelines/{_pipeline_id}/messages", status_code=201)
async def send(_pipeline_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Append a message; `load` appends so many more first."""
    for _ in range(body.pop("load", 0)):
        messages.append({"id": len(messages) + 1, **body})
    message = {"id": len(messages) + 1, **body}
    messages.append(message)
    for event in waiting:
        event.set()
    return {"success": True, "data": {"message": message}}


@app.get("/api/v1/pipelines/{_pipeline_id}/messages")
async def poll(
    _pipeline_id: str, role: str, since_id: int = 0, limit: int = 100, wait: float = 0
) -> dict[str, Any]:
    """Read what is new, waiting for it if need be."""
    event = asyncio.Event()
    waiting.add(event)
    try:
        found = _after(since_id, role)
        if not found and wait:
            async with asyncio.timeout(wait):
                while not found:
                    await event.wait()
                    event.clear()
                    found = _after(since_id, role)
    except TimeoutError:
        found = []
    finally:
        waiting.remove(event)
    page = found[:limit]
    next_since_id = page[-1]["id"] if page else since_id
    return {"success": True, "data": {"messages": page, "next_since_id": next_since_id}}


def _after(since_id: int, role: str) -> list[dict[str, Any]]:
    return [each for each in messages if each["id"] > since_id and each["to_role"] in {role, "all"}]


@contextmanager
def served() -> Iterator[str]:
    """Serve it; its URL."""
    port = tcp_ports.choose(FIRST_PORT)
    words = (sys.executable, "-m", "uvicorn", f"{__name__}:app", "--port", str(port), "--no-access-log")
    process = subprocess.Popen(
        [*words, "--log-level", "error"], cwd=Path(__file__).parents[1], env=os.environ
    )
    try:
        while not probes.http_answers(port, "/openapi.json"):
            assert process.poll() is None, "the list in memory is not served"  # noqa: S101
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
