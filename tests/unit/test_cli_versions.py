"""What commands say of a server elsewhere that is of another version."""

from collections.abc import Callable

import pytest

from egg_tasks import version
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]
PAGE: dict[str, object] = {"pipelines": [], "next_after": None}


def test_a_server_of_another_version_is_said_once(server: Scripted, egg: Egg, capsys: Captured) -> None:
    server.say(503, "wait", {"Egg-Version": "99.0", "Retry-After": "0"})
    server.say(200, "", {"Egg-Version": "99.0"}, data=PAGE)

    assert egg("pipeline", "list", "--json") == 0

    assert capsys.readouterr().err == f"the server is egg 99.0, this is egg {version.ours()}\n"


@pytest.mark.parametrize("headers", [{}, {"Egg-Version": version.ours()}])
def test_nothing_is_said_of_the_same_version_or_one_that_does_not_tell(
    server: Scripted, egg: Egg, capsys: Captured, headers: dict[str, str]
) -> None:
    server.say(200, "", headers, data=PAGE)

    assert egg("pipeline", "list", "--json") == 0

    assert capsys.readouterr().err == ""
