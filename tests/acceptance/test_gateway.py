"""The gateway of a stack: there when the stack is up, replaced when it dies, found by those who live on."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Egg

pytestmark = pytest.mark.acceptance


def finding(egg: Egg) -> dict[str, object]:
    """What the doctor says of the gateway."""
    found = json.loads(egg.run("doctor", "--json", check=False).stdout)["findings"]
    return next(each for each in found if each["name"] == "gateway")


def test_a_gateway_that_dies_is_replaced_at_the_same_doors(egg: Egg) -> None:
    before = finding(egg)

    killed = egg.kill("egg_tasks.gateway.server")
    egg.wait(lambda: finding(egg)["ok"] is True, why="a new gateway")

    assert killed == 1
    assert finding(egg) == before
    assert str(Path("gateway", "gateway.sock")) in str(before["text"])


AGENT = """
import os, subprocess, urllib.request
try:
    urllib.request.urlopen("https://evil.invalid/", timeout=20)
except OSError as error:
    print("told:", error)
print("by:", os.environ["HTTPS_PROXY"])
subprocess.run(["egg", "signal", "readiness", "--state", "READY"], check=True)
"""


def test_an_agent_with_a_list_goes_out_by_the_gateway_which_notes_what_it_refuses(
    egg: Egg, shop: Path, tmp_path: Path
) -> None:
    program = tmp_path / "agent.py"
    program.write_text(AGENT)
    definition = tmp_path / "out.json"
    network = {"allow": ["python-packages"]}
    coder = {"backend": "command", "command": ["python3", str(program)], "isolation": {"network": network}}
    document = {
        "version": 1,
        "repo": str(shop),
        "prompt": "Go out.",
        "agents": {"coder": coder},
        "phases": [{"name": "implement", "roles": [{"role": "coder"}]}],
    }
    definition.write_text(json.dumps(document))

    egg.run("run", str(definition), "--name", "out")
    log = egg.run("agent", "logs", "out", "coder").stdout
    asked = egg.json("egress", "out")["egress"]

    assert "403 evil.invalid:443 is not allowed to this agent" in log
    assert "by: [" in log
    assert [(one["host"], one["passage"], one["number"]) for one in asked] == [("evil.invalid", "refused", 1)]
