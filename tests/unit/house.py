"""Every module of the tree, parsed, for the tests of the rules that hold in all of them."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("models", "egg_tasks", "cli", "migrations")
"""What is installed."""
TESTS = ("tests", "benchmarks", "reference")
"""What is beside it."""
EVERYTHING = (*OURS, *TESTS)
KEPT = "tests/data/"
"""Sources of releases before, kept as they were."""


@cache
def texts(packages: tuple[str, ...] = OURS) -> Mapping[str, str]:
    """The text of every module of these packages, by its path from the root."""
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): path for path in paths}
    return {name: path.read_text() for name, path in found.items() if not name.startswith(KEPT)}


@cache
def sources(packages: tuple[str, ...] = OURS, *, having: str = "") -> Mapping[str, ast.Module]:
    """Every module of these packages in whose text *having*, a pattern, is found; parsed, by its path."""
    return {path: _parsed(text) for path, text in texts(packages).items() if re.search(having, text)}


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call in a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The dotted name of what is called, as far as it has one: that of an answer begins with `?`."""
    names: list[str] = []
    node = call.func
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join((node.id if isinstance(node, ast.Name) else "?", *reversed(names)))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
