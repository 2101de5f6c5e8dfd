"""egg settings: what there is to say, what holds and why, and how it is changed."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from egg_tasks import settings_edit, settings_file
from egg_tasks.settings_table import BY_KEY, SETTINGS
from tests.hostile_words import HOSTILE

Egg = Callable[..., int]
COMMENTED = """\
# mine
[node]  # this one
# a small machine
capacity = 4

[fetch]
home = "/home/egg"
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without a stack."""
    for each in SETTINGS:
        monkeypatch.delenv(each.variable or "NONE", raising=False)
    monkeypatch.setenv("EGG_HOME", str(tmp_path))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    """What was printed of each setting, by its name."""
    records = json.loads(capsys.readouterr().out)["settings"]
    return {record["key"] or record["variable"]: record for record in records}


def test_each_setting_is_shown_with_where_it_comes_from(
    egg: Egg, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.toml").write_text(COMMENTED)
    monkeypatch.setenv("EGG_RATE_LIMIT", "7")

    code = egg("settings", "--json")
    found = said(capsys)

    assert code == 0
    assert set(found) == {each.name for each in SETTINGS}
    assert (found["node.capacity"]["value"], found["node.capacity"]["from"]) == ("4", "file")
    assert (found["api.rate_limit"]["value"], found["api.rate_limit"]["from"]) == ("7", "environment")
    assert (found["api.look_seconds"]["value"], found["api.look_seconds"]["from"]) == ("30", "default")


def test_no_secret_is_shown(
    egg: Egg, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.toml").write_text('[webhook]\nurl = "https://hooks.example.org/hidden"\n')
    for name in ("EGG_OPERATOR_TOKEN", "EGG_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("EGG_DATABASE_URL", "postgresql://ada:hidden@db/egg")

    egg("settings", "--json")
    shown = capsys.readouterr().out

    assert "hidden" not in shown
    assert "hooks.example.org" in shown


def test_a_value_is_set_and_taken_out_and_comments_stay(egg: Egg, home: Path) -> None:
    path = home / "settings.toml"
    path.write_text(COMMENTED)

    codes = [egg("settings", "set", "node.capacity", "20"), egg("settings", "set", "EGG_API_HOSTS", "a b")]
    changed = path.read_text()
    codes += [egg("settings", "unset", "api.hosts"), egg("settings", "set", "node.capacity", "4")]

    assert codes == [0, 0, 0, 0]
    assert changed.startswith(COMMENTED.replace("4", "20"))
    assert settings_file.parsed(changed.encode(), path).values["api.hosts"] == "a b"
    assert path.read_text().startswith(COMMENTED)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "node.capcity", "5"), "there is no setting 'node.capcity' (did you mean `node.capacity`?)"),
        (("set", "node.capacity", "x"), "node.capacity must be a whole number of agents, 1 or more, not 'x'"),
        (("set", "EGG_HOME", "/x"), "EGG_HOME is said in the environment alone"),
        (("set", "fetch.environment", "x"), "fetch.environment is a table: write [fetch.environment] into"),
        (("set", "webhook.secret", "0123456789abcdef"), "`egg settings set webhook.secret -`"),
        (("set", "node.name", ""), "`egg settings unset node.name` takes it away"),
        (("get", "nothing"), "there is no setting 'nothing'"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_way_out(
    egg: Egg, home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    code = egg("settings", *words)

    assert code == 1
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (home / "settings.toml").exists()


def test_the_name_of_a_setting_is_enough_and_a_wrong_value_is_shown_with_its_fault(
    egg: Egg, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EGG_HOME", str(home))
    monkeypatch.setenv("EGG_NODE_CAPACITY", "x")

    code = egg("settings", "node.capacity", "--json")
    found = json.loads(capsys.readouterr().out)

    assert (code, found["value"], found["from"]) == (0, "x", "environment")
    assert found["fault"] == "must be a whole number of agents, 1 or more, not 'x'"


def test_what_is_not_there_is_taken_out_without_a_trace(egg: Egg, home: Path) -> None:
    assert egg("settings", "unset", "node.capacity") == 0
    assert list(home.iterdir()) == []


def test_a_secret_comes_by_standard_input(
    egg: Egg, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0123456789abcdef\n")))

    code = egg("settings", "set", "webhook.secret", "-")
    printed = "".join(capsys.readouterr())

    assert (code, "0123456789abcdef" in printed) == (0, False)
    assert settings_file.read(home).values == {"webhook.secret": "0123456789abcdef"}


def test_nothing_is_written_into_a_directory_of_somebody_elses(
    egg: Egg, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "theirs").touch()

    assert egg("settings", "set", "node.capacity", "5") == 1
    assert "in use for something else" in capsys.readouterr().err
    assert [each.name for each in home.iterdir()] == ["theirs"]


def test_a_faulty_file_stops_no_command_that_could_mend_it(
    egg: Egg, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.toml").write_text("[node]\ncapacity = 0\n")

    codes = egg("down"), egg("settings", "unset", "node.capacity"), egg("pipeline", "list")
    told = capsys.readouterr().err

    assert codes == (0, 1, 1)
    assert told.count("settings.toml, line 2: node.capacity: must be a whole number of agents") == 2


def test_the_doctor_names_what_is_wrong_in_file_and_environment(
    egg: Egg, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.toml").write_text("[node]\ncapacity = 0\n")
    monkeypatch.setenv("EGG_RATE_LIMIT", "many")

    code = egg("doctor", "--json")
    found = json.loads(capsys.readouterr().out)["findings"]
    texts = [each["text"] for each in found if (each["name"], each["ok"]) == ("settings", False)]

    assert (code, len(texts)) == (1, 2)
    assert "line 2: node.capacity: must be a whole number" in texts[0]
    assert texts[1] == "EGG_RATE_LIMIT must be a whole number of requests a second, 0 or more, not 'many'"


def test_the_example_is_a_settings_file_with_every_setting(home: Path) -> None:
    text = settings_edit.example()
    taken = "\n".join(
        line.removeprefix("# ") if line.partition(" = ")[0].removeprefix("# ").isidentifier() else line
        for line in text.splitlines()
    )
    values = settings_file.parsed(taken.encode(), home / "settings.toml").values

    assert settings_file.parsed(text.encode(), home / "settings.toml").values == {}
    assert set(values) | {"fetch.environment", "providers.NAME"} == set(BY_KEY)


@pytest.mark.parametrize("words", HOSTILE)
def test_what_stands_in_the_file_is_shown_harmless(
    egg: Egg, home: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    (home / "settings.toml").write_text(f"[fetch]\nssh_command = {json.dumps(words)}\n", encoding="utf-8")

    egg("settings", "get", "fetch.ssh_command")
    printed = "".join(capsys.readouterr())

    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_a_server_in_the_file_is_the_one_commands_talk_to(
    egg: Egg, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.toml").write_text('[server]\nurl = "http://127.0.0.1:1"\noperator_token = "t"\n')

    assert egg("pipeline", "list") == 1
    assert "http://127.0.0.1:1" in capsys.readouterr().err
