"""Prompts that were written for egg's `egg-orch` work unchanged, against a real server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.api_scene import NAME, Scene


def orch(shop: Scene, role: str, *arguments: str) -> str:
    """Run the program as an agent does; what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "EGG_ORCHESTRATOR_URL": f"http://127.0.0.1:{shop.port}",
        "EGG_SESSION_TOKEN": shop.tokens[role],
        "EGG_PIPELINE_ID": NAME,
        "EGG_AGENT_ROLE": role,
    }
    program = Path(sys.executable).parent / "egg-orch"
    done = subprocess.run(  # noqa: PLW1510 - what it said is asserted
        [program, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_message_is_sent_polled_and_counted(shop: Scene) -> None:
    sent = orch(
        shop, "coder", "message", "send", NAME, "--to", "tester", "--type", "QUESTION", "--body", "Why?"
    )
    polled = orch(shop, "tester", "message", "poll", "--role", "tester")
    again = orch(shop, "tester", "message", "poll", NAME, "--since", "0", "--limit", "1", "--json")
    status = orch(shop, "tester", "message", "status")

    assert (sent, polled) == ("1\n", "1 QUESTION coder -> tester\n    Why?\n")
    assert '"next_since_id": 1' in again
    assert '"QUESTION": 1' in status


def test_a_signal_is_taken(shop: Scene) -> None:
    said = orch(shop, "tester", "signal", "readiness", NAME, "--state", "BLOCKED", "--on", "coder")
    orch(shop, "tester", "signal", "progress", "--percent", "40", "--message", "half")
    orch(shop, "tester", "signal", "heartbeat")

    assert "tester is BLOCKED" in said
