"""settings.toml: whatever stands there is settings, or one sentence."""

from pathlib import Path

import pytest

from egg_tasks import settings_file
from models.errors import Unprocessable


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 30_000,
        "a." * 30_000 + "a = 1",
        "#\n" * 40_000,
        "a=" + "1" * 6000,
        "[agents]\npath = '\udc80'",
        "[agents]\npath = 'a'\npath = 'b'",
    ],
    ids=["deep", "dotted", "large", "number", "bytes", "twice"],
)
def test_a_settings_file_that_would_take_long_or_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(Unprocessable, match=r"settings\.toml .*mend or remove it"):
        settings_file.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[node]\ncapacity = 5\n\n[nodes]\n", "line 4: nodes: there is no such table (did you mean `node`?)"),
        ("#\n[node]\ncapcity = 5\n", "line 3: node.capcity: there is no such setting (did you mean `node"),
        ("capacity = 5\n", "line 1: capacity: there is no such table (did you mean `node.capacity`?)"),
        ("node = 5\n", "line 1: node: must be a table: write [node]"),
        ('[node]\ncapacity = "5"\n', "line 2: node.capacity: must be a whole number, without quotes"),
        ("[node]\ncapacity = true\n", "line 2: node.capacity: must be a whole number, without quotes"),
        ("[node]\ncapacity = 0\n", "node.capacity: must be a whole number of agents, 1 or more, not '0'"),
        ("node.capacity = 0\n", "line 1: node.capacity: must be a whole number"),
        ("node = {capacity = 0}\n", "line 1: node.capacity: must be a whole number"),
        ("[stack]\napi_port = 70000\n", "line 2: stack.api_port: must be a port, 1 to 65535"),
        ("[agents]\npath = 7\n", "line 2: agents.path: must be text in quotes"),
        ("[api]\nhosts = [1]\n", "line 2: api.hosts: must be a list of names in quotes"),
        ('[fetch.environment]\nEGG_X = "1"\n', "line 1: fetch.environment: EGG_X must not begin with EGG_"),
        ('[webhook]\nurl = "a\\u0007b"\n', "line 2: webhook.url: must be one line of text, not what it is"),
        ("[node]\ncapacity = \n", "Invalid value (at line 2, column 12)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "settings.toml").write_text(text)

    with pytest.raises(Unprocessable) as caught:
        settings_file.read(tmp_path)

    assert said in caught.value.message


def test_the_environment_wins_over_the_file_also_with_nothing(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[node]\ncapacity = 5\nname = "here"\n[api]\nhosts = ["a.example", "b"]\n[webhook]\nurl = "https://x"\n'
    )

    found = settings_file.completed({"EGG_NODE": "there", "EGG_WEBHOOK_URL": ""}, tmp_path)

    assert found == {
        "EGG_NODE_CAPACITY": "5",
        "EGG_NODE": "there",
        "EGG_API_HOSTS": "a.example b",
        "EGG_WEBHOOK_URL": "",
    }
