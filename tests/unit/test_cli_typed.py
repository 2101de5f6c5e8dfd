"""What a person is told to type works where they stand."""

import ast
import sys
from pathlib import Path

import pytest

from cli import main, typed
from models.errors import Unprocessable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `egg` in a virtual environment that is not on the PATH, and a person who stands beside it."""
    program = tmp_path / "checkout" / ".venv" / "bin" / "egg"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("EGG_SESSION_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path / "checkout")
    return program


def on_the_path(tmp_path: Path, *, leads_to: Path) -> None:
    (tmp_path / "bin" / "egg").symlink_to(leads_to)


def test_it_is_egg_where_that_is_this_one(own: Path, tmp_path: Path) -> None:
    on_the_path(tmp_path, leads_to=own)

    assert typed.egg() == "egg"


def test_another_egg_on_the_path_is_not_named(own: Path, tmp_path: Path) -> None:
    other = own.with_name("other")
    other.touch(mode=0o755)
    on_the_path(tmp_path, leads_to=other)

    assert typed.egg() == ".venv/bin/egg"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("place", "called"),
    [("checkout", ".venv/bin/egg"), ("checkout/.venv/bin", "./egg"), ("bin", "../checkout/.venv/bin/egg")],
)
def test_it_is_a_short_path_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, called: str
) -> None:
    monkeypatch.chdir(tmp_path / place)

    assert typed.egg() == called


def test_far_away_it_is_the_whole_path(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path.joinpath(*["deep"] * 60)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    assert typed.egg() == str(own)


def test_it_is_the_whole_path_where_the_directory_is_gone(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert typed.egg() == str(own)


def test_a_path_is_quoted_for_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my shop").mkdir()
    monkeypatch.chdir(tmp_path)

    assert typed.path(tmp_path / "my shop") == "'my shop'"


def test_egg_orch_names_the_egg_beside_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(own.with_name("egg-orch"))])

    assert typed.egg() == ".venv/bin/egg"


@pytest.mark.usefixtures("own")
def test_an_agent_has_an_egg_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGG_SESSION_TOKEN", "a token")

    assert typed.egg() == "egg"


@pytest.mark.usefixtures("own")
def test_every_command_in_a_text_is_rewritten_and_nothing_else() -> None:
    others = 'an egg cup, egg.yaml, boiled-egg up, "egg'

    assert typed.hint(f"start one with `egg up`, (egg doctor), or: egg stop-all; {others}") == (
        "start one with `.venv/bin/egg up`, (.venv/bin/egg doctor), or: .venv/bin/egg stop-all; " + others
    )


@pytest.mark.usefixtures("own")
def test_a_command_in_the_words_of_others_stays_as_they_said_it() -> None:
    option, question = "egg decision resolve 1 Ship it", "Shall I\nrun egg up, then egg down?"
    answer = {"decisions": [{"question": question, "options": [option], "how_to_answer": "egg why shop"}]}

    assert typed.hint(
        f"coder asks decision 1: {' '.join(question.split())}; {option}, or look: egg why shop", others=answer
    ) == (
        "coder asks decision 1: Shall I run egg up, then egg down?; egg decision resolve 1 Ship it, or look:"
        " .venv/bin/egg why shop"
    )


@pytest.mark.usefixtures("own")
def test_a_refusal_does_not_make_a_command_of_ours_of_an_agents_option(
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = ["egg pipeline cancel shop", "Wait"]
    message = "no option 'x'; answer one of: egg pipeline cancel shop, Wait; see egg decision get 7"

    main._refused(Unprocessable(message, {"options": options}))

    assert capfd.readouterr().err == f"error: {message.replace('see egg', 'see .venv/bin/egg')}\n"


def test_no_command_is_told_to_a_person_but_by_these_functions() -> None:
    """Every text that goes to a person and names a command of ours passes `hint` or `say`."""
    found = []
    for path in (ROOT / "cli").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "click.echo":
                words = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant)]
                names_one = any(isinstance(word, str) and typed.COMMAND.search(word) for word in words)
                if names_one and "typed.hint(" not in ast.unparse(call):
                    found.append(f"{path.relative_to(ROOT)}:{call.lineno}")

    assert found == []
