"""Somebody types the tutorial, line by line, and sees what it shows; and how a page begins."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Egg

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "tutorial" / "first-pipeline.md"
README = ROOT / "README.md"
AUTHOR = {
    f"GIT_{who}_{what}": "ada@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
"""Somebody who has told git who they are."""
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODES = {"egg validate mistake.yaml": 2, "egg run stall.yaml --name quarrel --wait": 3}
LIVE_SCREEN = re.compile(r"\x1b\[\?1049h.*?\x1b\[\?1049l", re.DOTALL)
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
DIFFERS = re.compile(r"…|\b(?:\d+h)?(?:\d+m)?\d+s\b|\b\d\d:\d\d(?::\d\d)?\b|\b(?=\w*\d)[0-9a-f]{7,10}\b")
"""What the page shows and another run need not: an omission, a duration, a time, a commit."""


@dataclass(frozen=True)
class Step:
    """A line to type, and what the page says one sees then."""

    line: str
    shown: tuple[str, ...]


def steps(page: str, *, without: str = "installed") -> list[Step]:
    """Every command of every console block, in order, but for those of the other way to have egg."""
    found = []
    other_way = re.compile(rf"^<!-- {without} -->\n```console\n.*?^```$", re.MULTILINE | re.DOTALL)
    for block in BLOCK.findall(other_way.sub("", page)):
        assert block.startswith("$ "), f"a block begins with something one cannot type: {block}"
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *shown = part.splitlines()
            found.append(Step(line, tuple(shown)))
    return found


def typed(lines: list[str], *, environment: dict[str, str], place: Path = ROOT) -> list[tuple[str, int]]:
    """Type lines into one shell on a terminal, in the checkout: what each said, and its exit code."""
    script = "".join(f"{line}\nprintf '\\036%s\\036' $?\n" for line in lines)
    ours, theirs = os.openpty()
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=place, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:
        """Linux tells the end of a terminal by an error."""
    os.close(ours)
    shell.wait()
    pieces = STYLE.sub("", LIVE_SCREEN.sub("", said.decode())).split("\x1e")
    return [(text, int(code)) for text, code in zip(pieces[::2], pieces[1::2], strict=False)]


def missing(shown: tuple[str, ...], said: str) -> str | None:
    """The first line that is shown and was not said, in this order; None if all were."""
    left = iter(" ".join(line.split()) for line in said.splitlines())
    for line in shown:
        wanted = ".*".join(re.escape(part) for part in DIFFERS.split(" ".join(line.split())))
        if wanted != ".*" and not any(re.fullmatch(wanted, each) for each in left):
            return line
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [README, PAGE], ids=lambda page: page.stem)
def test_every_step_of_the_tutorial_does_what_the_page_says(person: Egg, page: Path) -> None:
    found = steps(page.read_text())
    home = {"HOME": str(person.home), "EGG_HOME": str(person.home), **AUTHOR}
    terminal = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40", "PAGER": "cat"}

    answers = typed([step.line for step in found], environment={**person.environment, **home, **terminal})

    assert len(answers) == len(found)
    for step, (said, code) in zip(found, answers, strict=True):
        assert code == EXIT_CODES.get(step.line, 0), f"$ {step.line}\n{said}"
        lacks = missing(step.shown, said)
        assert lacks is None, f"$ {step.line}\nshows {lacks!r}; it said:\n{said}"


def test_the_smallest_agent_of_the_page_on_agents_does_its_work(egg: Egg, shop: Path) -> None:
    page = (ROOT / "docs" / "howto" / "write-an-agent.md").read_text()
    program, definition, commands = re.findall(
        r"^```(?:bash|yaml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )[:3]
    (shop / "tools").mkdir()
    (shop / "tools" / "tidy.sh").write_text(program)
    (shop / "tidy.yaml").write_text(definition)
    (shop / "shop" / "cart.py").write_text("carts = 1   \n")
    egg.type("git commit --quiet --all --message Untidy", cwd=shop)

    said = egg.type(f"set -e; {commands}", cwd=shop)

    (name,) = re.findall(r"on branch egg/(\S+) at", said)
    assert egg.type(f"git show egg/{name}:shop/cart.py", cwd=shop) == "carts = 1\n"
