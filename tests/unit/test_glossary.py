"""Every module says in its first sentence what it is about, in a word of docs/reference/glossary.md."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
PACKAGES = ("cli", "egg_tasks", "migrations", "models")
WORD = re.compile(r"\*\*([^*]+)\*\*")
MODULES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py" and not re.search(r"shop-repository|scripted-agents|versions/2", str(path))
]


@cache
def words() -> list[str]:
    """The words of the page, each as it is written there."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]
    return [word for row in rows for word in WORD.findall(row.split(" | ")[0])]


def named(sentence: str) -> set[str]:
    """Which words a sentence has, in one number or the other."""
    return {word for word in words() if re.search(rf"\b{plural(word)}\b", sentence, re.IGNORECASE)}


def plural(word: str) -> str:
    """A word, or several of it."""
    stem = re.escape(word)
    return f"(?:{stem}|{stem}e?s|{stem.removesuffix('y')}ies|{stem}'s)"


def test_every_module_begins_with_a_word_of_the_glossary() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    first = {path: (ast.get_docstring(tree) or "").partition("\n")[0] for path, tree in trees.items()}

    without = [f"{path.relative_to(ROOT)}: {line}" for path, line in first.items() if not named(line)]

    assert without == []


def test_the_glossary_has_each_word_once_and_says_what_it_is() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]

    assert sorted(set(words())) == sorted(words())
    assert [row for row in rows if len(row.strip("| ").split(" | ")) != 2] == []


def test_a_sentence_without_a_word_of_the_glossary_is_found() -> None:
    assert named("Who does so, and whether they may.") == set()
    assert named("Two of the queries, and a repository.") == {"query", "repository"}
