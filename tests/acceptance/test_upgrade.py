"""What an earlier egg left in the middle of a phase is taken up and driven to its end today."""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from egg_tasks.stack.binaries import find_postgres
from tests.acceptance.conftest import Egg, unchosen_ports
from tests.conftest import url_of
from tests.left_behind import KEPT, NODE, PIPELINE, QUESTION, SCRIPTS, WAIT, runs

pytestmark = pytest.mark.acceptance


@pytest.fixture(params=sorted(KEPT.iterdir()), ids=lambda path: path.name)
def upgraded(request: pytest.FixtureRequest, server_urls: tuple[str, str]) -> Iterator[Egg]:
    """A stack of today over the rows and repositories of before; what its agents wait for has come."""
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute("CREATE ROLE left_behind LOGIN")
        connection.execute("CREATE DATABASE left_behind OWNER left_behind")
    url = url_of(server_urls[0], database="left_behind", user="left_behind")
    load = [
        find_postgres({}) / "psql",
        "--quiet",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        request.param / "rows.sql",
        url,
    ]
    subprocess.run(load, check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="egg-", dir="/tmp", ignore_cleanup_errors=True) as place:
        home = Path(place) / "home"
        Path(place).chmod(0o711)
        home.mkdir(mode=0o711)
        subprocess.run(["tar", "-C", home, "-xzf", request.param / "repos.tar.gz"], check=True)
        given = {"EGG_DATABASE_URL": url, "EGG_NODE": NODE, WAIT: "0", **unchosen_ports()}
        egg = Egg(home, given)
        yield egg
        egg.run("down", "--agents", check=False)
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute("DROP DATABASE left_behind WITH (FORCE)")
        connection.execute("DROP ROLE left_behind")


def test_a_pipeline_in_the_middle_of_a_phase_is_taken_up_and_driven_to_its_end(upgraded: Egg) -> None:
    egg = upgraded

    egg.run("up")
    (question,) = egg.json("decision", "list", PIPELINE)["decisions"]
    egg.run("decision", "resolve", str(question["id"]), "Long")
    egg.wait(lambda: egg.status(PIPELINE) != "running", why="the end")

    assert egg.status(PIPELINE) == "complete", egg.run("why", PIPELINE).stdout
    assert question["question"] == QUESTION
    ended = {role: [run["status"] for run in reversed(runs(egg, role))] for role in SCRIPTS}
    assert ended["coder"] == ["succeeded"]
    assert ended["linter"] == ["lost", "succeeded"]
    assert ended["tester"][-1] == ended["documenter"][-1] == "succeeded"
    assert_told_once(egg)


def assert_told_once(egg: Egg) -> None:
    """Events and messages have numbers without a gap across the upgrade, and each run was started once."""
    events = egg.events(PIPELINE)
    messages = egg.json("message", "list", PIPELINE)["messages"]
    started = Counter(event["run"] for event in events if event["type"] == "agent.started")
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert [message["id"] for message in messages] == list(range(1, len(messages) + 1))
    assert set(started.values()) == {1}
    assert "Version one" in [message["subject"] for message in messages]
    assert "DIRECTIVE" in [message["message_type"] for message in messages]
