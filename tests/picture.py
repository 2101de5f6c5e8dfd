"""Records docs/live-screen.svg from a real run of the demo: python -m tests.picture, or make picture.

What `egg watch` shows at one moment, drawn by the same functions from the same answers of a real server:
the moment at which the tester objects.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from cli import submitting
from cli.watch_one import refreshed
from cli.watch_screen import Moment, draw
from egg_tasks.client import Client
from egg_tasks.demo.repository import make_repository
from egg_tasks.stack import lifecycle
from models.states import PipelineStatus, Readiness

PICTURE = Path(__file__).parents[1] / "docs" / "live-screen.svg"
NAME = "shipping-cost"
WIDTH, HEIGHT = 112, 32
POLL_SECONDS = 0.1
FONTS = re.compile(r"\s*@font-face \{\{.*?\n    \}\}", re.DOTALL)
"""Which a page that shows the picture would have to fetch from elsewhere."""


def main() -> None:
    """Run the demo in a place of its own, and write the picture."""
    home = Path(tempfile.mkdtemp(prefix="egg-", dir="/tmp"))
    home.chmod(0o711)
    os.environ["EGG_HOME"] = str(home)
    try:
        manifest = lifecycle.up(home, environ=os.environ, report=_say)
        client = Client(manifest.api_url, manifest.operator_token)
        repository = make_repository(home / "shop")
        checked = submitting.check(repository / "egg.yaml", overrides=[("name", NAME)])
        submitting.create(client, checked)
        client.post(f"/pipelines/{NAME}/start", repeatable=True)
        PICTURE.write_text(drawn(_moment(client)), encoding="utf-8")
        _say(f"wrote {PICTURE}; waiting for the end of that run")
        while client.get(f"/pipelines/{NAME}/status")["status"] == PipelineStatus.RUNNING:
            time.sleep(POLL_SECONDS)
    finally:
        lifecycle.down(home)
        shutil.rmtree(home, ignore_errors=True)


def drawn(look: Moment) -> str:
    """One look as an SVG that fetches nothing."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
        console = Console(file=nowhere, record=True, width=WIDTH, height=HEIGHT, force_terminal=True)
        console.print(draw(look, width=WIDTH, height=HEIGHT, now=datetime.now(UTC)))
    code = FONTS.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, monospace", "monospace")
    return console.export_svg(title=f"egg watch {NAME}", code_format=code, unique_id="egg")


def _moment(client: Client) -> Moment:
    """What there is to see when one objects and the others are at work or waiting."""
    look = Moment(pipeline={}, status={})
    while True:
        look = refreshed(client, NAME, look)
        if look.status["status"] not in {PipelineStatus.PENDING, PipelineStatus.RUNNING}:
            raise SystemExit("nobody was seen to object: try again")
        roles = ((look.status.get("concurrent") or {}).get("consensus") or {}).get("agents") or {}
        if any(role["state"] == Readiness.OBJECTING for role in roles.values()):
            return look
        time.sleep(POLL_SECONDS)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
