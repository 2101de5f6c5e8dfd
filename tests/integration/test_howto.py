"""Every command of the page about the bus, run against a real server."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.api_scene import NAME, Scene

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "talk-to-the-bus.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl or jq is not installed")
def test_the_commands_of_the_page_work(shop: Scene) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    environment = {
        "PATH": os.environ["PATH"],
        "EGG_ORCHESTRATOR_URL": f"http://127.0.0.1:{shop.port}",
        "EGG_SESSION_TOKEN": shop.tokens["coder"],
        "EGG_PIPELINE_ID": NAME,
    }
    # Each answer on a line of its own, in the order of the page.
    script = "set -euo pipefail\n" + "\necho\n".join(blocks)

    done = subprocess.run(  # noqa: PLW1510 - what it said is asserted
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    decoder, answers, text = json.JSONDecoder(), [], done.stdout.strip()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    sent, waited, by_type, receipts = answers
    assert sent["data"]["message"]["subject"] == "May f(0) be 0?"
    assert waited["data"]["messages"] == []
    assert by_type["data"]["messages"] == []
    assert receipts["tester"]["unread"] == 1
