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
