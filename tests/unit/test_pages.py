"""What the pages show is right: definitions validate, settings are read, links lead somewhere."""

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from egg_tasks import settings_file
from models.schemas.definition import Definition, validate
from tests.pages import LANGUAGES, NOT_RUN, ROOT, SHELL, TYPED_BY, Block, blocks, pages

ALL = [block for path in pages() for block in blocks(path)]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
WHOLE = {
    "version": 1,
    "repo": ".",
    "prompt": "Do it.",
    "agents": {},
    "phases": [{"name": "work", "roles": [{"role": "coder"}]}],
}
"""What a definition that is shown in part is a part of."""
MOST_NOT_RUN = 12


def of(*languages: str) -> list[Block]:
    """The blocks in one of these languages."""
    return [block for block in ALL if block.language in languages]


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_definition_that_is_shown_is_sound(block: Block) -> None:
    found = yaml.safe_load(block.text)
    if not found.keys() & Definition.model_fields.keys():
        pytest.skip("it is another program's")

    validate(whole(found))


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """A whole definition that holds a part: phases that were shown without roles, roles without agents."""
    document: dict[str, Any] = WHOLE | part
    phases = document["phases"]
    agents = document["agents"]
    document["phases"] = [{"roles": [{"role": "coder"}], **phase} for phase in phases]
    played = {seat.get("agent", seat["role"]) for phase in document["phases"] for seat in phase["roles"]}
    missing = {name: {"backend": "command", "command": ["true"]} for name in played - agents.keys()}
    return document | {"agents": agents | missing}


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_settings_that_are_shown_are_read(block: Block, tmp_path: Path) -> None:
    (tmp_path / settings_file.NAME).write_text(block.text)

    settings_file.read(tmp_path)


@pytest.mark.parametrize("block", of("json", "python"), ids=str)
def test_json_and_python_that_is_shown_is_such(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    else:
        ast.parse(block.text)


def test_every_block_says_what_it_is() -> None:
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("block", of("sh", "bash"), ids=str)
def test_what_is_to_be_typed_can_be_read_by_a_shell(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_a_page_with_a_test_of_its_own_is_named_there() -> None:
    for page, test in TYPED_BY.items():
        assert Path(page).name in (ROOT / test).read_text(), f"{test} does not type {page}"


def test_what_is_not_run_is_little_and_says_why() -> None:
    left = [block for block in of(*SHELL) if not block.is_run and not block.text.startswith("#!")]

    assert [str(block) for block in left if len(block.mark) < len(NOT_RUN) + 10] == []
    assert len(left) <= MOST_NOT_RUN, [str(block) for block in left]


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = [link for link in LINK.findall(text) if "://" not in link and not leads(path, link)]

    assert broken == []


def leads(path: Path, link: str) -> bool:
    """Whether a link of a page leads to a file, and to a heading in it if it names one."""
    name, _, anchor = link.partition("#")
    target = (path.parent / name) if name else path
    if not target.exists():
        return False
    return not anchor or anchor in {anchor_of(head) for head in headings(target)}


def headings(path: Path) -> list[str]:
    """The headings of a page."""
    return re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def anchor_of(heading: str) -> str:
    """Where GitHub jumps to for a heading."""
    kept = "".join(each for each in heading.lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}

    missing = [str(path.relative_to(ROOT)) for path in pages() if path.is_relative_to(ROOT / "docs")]

    assert [name for name in missing if (ROOT / name).resolve() not in linked | {index.resolve()}] == []


def test_the_messages_that_are_explained_are_said_by_the_code() -> None:
    page = (ROOT / "docs" / "howto" / "troubleshooting.md").read_text()
    tables = re.findall(r"^\| it says .*\n\|-.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    quoted = [said for table in tables for said in re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)]
    texts = "\n".join(said_by_the_code())

    gone = [text for text in quoted if not re.search(".{0,80}".join(map(re.escape, text.split("…"))), texts)]

    assert len(quoted) > 20
    assert gone == [], "the code says something else now: quote that in docs/howto/troubleshooting.md"


def said_by_the_code() -> list[str]:
    """Every text of our sources, with `…` for what is put into it."""
    found = []
    for folder in ("cli", "egg_tasks", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found
