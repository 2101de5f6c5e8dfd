"""`egg pipeline rerun`, against a real HTTP server that answers as it is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import submitting
from cli.definition_file import Checked
from cli.yaml_positions import Positions
from tests.unit.scripted_server import Scripted

Egg = Callable[..., int]
Captured = pytest.CaptureFixture[str]

SOUND = """\
version: 1
name: shop
repo: https://example.org/shop
prompt: Sell.
agents: {coder: {backend: command, command: ["true"]}}
phases: [{name: build, roles: [{role: coder}]}]
"""
STORED = {
    "version": 1,
    "name": "shop",
    "repo": "https://example.org/shop",
    "base": "main",
    "base_commit": "a" * 40,
    "prompt": "As it was.",
    "agents": {"coder": {"backend": "command", "command": ["true"]}},
    "phases": [{"name": "build", "roles": [{"role": "coder"}]}],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A definition file as it is now."""
    path = tmp_path / "egg.yaml"
    path.write_text(SOUND)
    return path


def tells(server: Scripted, **first: object) -> None:
    """Have the server tell of the first pipeline, make the second and start it."""
    stored: dict[str, object] = {
        "id": "shop",
        "status": "failed",
        "definition": STORED,
        "overrides": [],
        "file": None,
    }
    server.say(200, "", data={"pipeline": stored | first})
    server.say(201, "", data={"pipeline": {"id": "shop-2", "status": "pending", "base_commit": "b" * 40}})
    server.say(200, "", data={})


def test_a_rerun_is_the_file_as_it_is_now_and_names_the_first_one(
    server: Scripted, egg: Egg, capsys: Captured, file: Path
) -> None:
    tells(server, file=str(file), base_commit="a" * 40)

    code = egg("pipeline", "rerun", "shop", "--detach")

    _, made, started = server.asked
    said = capsys.readouterr()
    assert (code, said.out) == (0, "shop-2\n")
    assert f"shop-2 runs shop again, from HEAD at {'b' * 10} ({'a' * 10} before)" in said.err
    assert (made.body["prompt"], made.body["rerun_of"], made.body["numbered"]) == ("Sell.", "shop", True)
    assert made.body["file"] == str(file)
    assert started.path == "/api/v1/pipelines/shop-2/start"


def test_what_was_set_over_the_file_counts_again_unless_it_is_set_anew(
    server: Scripted, egg: Egg, file: Path
) -> None:
    before = ['prompt="Hire."', "config.max_rounds=2", "config.max_iterations=3"]
    tells(server, file=str(file), overrides=before)

    egg("pipeline", "rerun", "shop", "--detach", "--set", "config.max_rounds=4")

    body = server.asked[1].body
    assert body["prompt"] == "Hire."
    assert body["config"] == {"max_rounds": 4, "max_iterations": 3}
    assert body["overrides"] == [*before, "config.max_rounds=4"]


def test_a_name_that_is_typed_is_not_numbered(server: Scripted, egg: Egg, file: Path) -> None:
    tells(server, file=str(file))

    egg("pipeline", "rerun", "shop", "--detach", "--name", "bakery")

    assert (server.asked[1].body["name"], server.asked[1].body["numbered"]) == ("bakery", False)


@pytest.mark.parametrize("known", [None, "/gone/egg.yaml"])
def test_without_its_file_a_rerun_names_the_ways_out(
    server: Scripted, egg: Egg, capsys: Captured, known: str | None
) -> None:
    tells(server, file=known)

    code = egg("pipeline", "rerun", "shop")

    said = capsys.readouterr().err
    assert (code, len(server.asked)) == (1, 1)
    assert "--file FILE" in said
    assert "egg pipeline rerun shop --as-stored" in said


def test_another_file_may_be_named(server: Scripted, egg: Egg, file: Path) -> None:
    tells(server, file="/gone/egg.yaml")

    egg("pipeline", "rerun", "shop", "--detach", "--file", str(file))

    assert server.asked[1].body["file"] == str(file)


def test_as_it_was_stored_it_starts_from_where_its_base_is_now(server: Scripted, egg: Egg) -> None:
    tells(server, file="/gone/egg.yaml")

    egg("pipeline", "rerun", "shop", "--detach", "--as-stored", "--set", "config.max_rounds=4")

    body = server.asked[1].body
    assert (body["prompt"], body["base"], body["config"]) == ("As it was.", "main", {"max_rounds": 4})
    assert "base_commit" not in body


def test_a_faulty_file_is_refused_before_anything_is_stored(
    server: Scripted, egg: Egg, capsys: Captured, file: Path
) -> None:
    file.write_text(SOUND + "colour: red\n")
    tells(server, file=str(file))

    code = egg("pipeline", "rerun", "shop")

    assert (code, len(server.asked)) == (2, 1)
    assert f"{file}:7: colour" in capsys.readouterr().err


def test_a_number_that_a_files_name_gets_is_said(
    server: Scripted, egg: Egg, capsys: Captured, file: Path
) -> None:
    server.say(201, "", data={"pipeline": {"id": "shop-2", "status": "pending"}})

    egg("run", str(file), "--detach")

    assert "note: there is a pipeline shop already; this one is shop-2" in capsys.readouterr().err
    assert server.asked[0].body["numbered"] is True


def test_a_submission_whose_answer_is_lost_is_sent_again_under_its_key(
    server: Scripted, egg: Egg, file: Path
) -> None:
    server.say(0, "")
    server.say(201, "", data={"pipeline": {"id": "shop", "status": "pending"}})

    code = egg("run", str(file), "--detach")

    first, again, _ = server.asked
    assert code == 0
    assert first.body["client_key"] == again.body["client_key"]


def test_a_password_in_a_repository_that_was_set_is_not_kept() -> None:
    checked = Checked(
        "egg.yaml",
        Positions("egg.yaml"),
        {"repo": "https://example.org/shop"},
        "https://ada:secret@example.org/shop",
        overrides=[("repo", '"https://ada:secret@example.org/shop"'), ("base_commit", "a" * 40)],
    )

    assert json.dumps(dict(submitting.kept(checked))) == '{"repo": "\\"https://example.org/shop\\""}'
