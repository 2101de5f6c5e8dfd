"""Every error that is raised on purpose: drawn, carried by the broker, answered over HTTP, an exit code."""

import ast
import importlib
import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

import models.errors
from cli import exit_codes
from cli.definition_file import FaultyFile
from cli.main import exit_code
from egg_tasks.api.envelope import refused
from models.errors import EggError, Rejected, Unavailable
from tests.unit.house import EVERYTHING, sources, texts

ELSEWHERE = {
    "Faulty": "models.schemas.fault: it holds faults, which the schemas know",
    "FaultyFile": "cli.definition_file: it names lines of a file, which only the CLI has",
}
"""Errors that are not in `models.errors`, and why."""
PROGRAMS = ("migrations/", "egg_tasks/demo/", "egg_tasks/runners/shim.py")
"""What is run as a file, not imported; none of our errors is defined there."""
LINE = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>\w+)(?: +(?P<status>\d{3}))?", re.MULTILINE)


def error_classes() -> list[type[EggError]]:
    """Every error we raise on purpose, wherever it is."""
    for path in texts():
        if not path.startswith(PROGRAMS):
            importlib.import_module(path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    found: list[type[EggError]] = []
    waiting: list[type[EggError]] = [EggError]
    while waiting:
        found.append(waiting[-1])
        waiting.extend(waiting.pop().__subclasses__())
    return [kind for kind in found if not kind.__module__.startswith("tests")]


def drawn() -> Iterator[tuple[str, str, int]]:
    """The tree of `models.errors` as it is drawn, four columns a step: each error, what kind, its status."""
    above = [("EggError", 0)]
    for line in LINE.finditer(inspect.getdoc(models.errors) or ""):
        depth = len(line["indent"]) // 4
        del above[depth:]
        status = int(line["status"] or above[-1][1])
        yield line["name"], above[-1][0], status
        above.append((line["name"], status))


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_survives_the_broker(kind: type[EggError]) -> None:
    """Celery rebuilds an error from its class and args."""
    error = kind("a sentence", {"key": "value"})

    rebuilt = type(error)(*error.args)

    assert (str(rebuilt), rebuilt.details) == ("a sentence", {"key": "value"})
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.details) == (kind, "a sentence", {"key": "value"})


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_an_exit_code(kind: type[EggError]) -> None:
    error = kind("a sentence", {"lines": ["a fault"]} if kind is FaultyFile else None)

    answer, code = refused(error), exit_code(error)

    allowed = (
        range(400, 500) if issubclass(kind, Rejected) else (503 if issubclass(kind, Unavailable) else 500,)
    )
    assert answer.status_code == kind.status
    assert kind.status in allowed
    assert code == (exit_codes.USAGE if kind is FaultyFile else exit_codes.FAILED)


def test_the_drawn_tree_is_the_tree() -> None:
    here = [kind for kind in error_classes() if kind.__name__ not in ELSEWHERE and kind is not EggError]

    tree = {kind.__name__: (kind.__bases__[0].__name__, kind.status) for kind in here}

    assert {name: (above, status) for name, above, status in drawn() if status} == {
        name: of for name, of in tree.items() if name != "Rejected"
    }
    assert {name for name, _, _ in drawn()} == set(tree)


def test_no_error_is_defined_where_it_is_not_looked_for() -> None:
    bases = {kind.__name__ for kind in error_classes()}

    defined = {
        node.name
        for tree in sources(EVERYTHING, having=rf"class \w+\(.*({'|'.join(bases)})").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {ast.unparse(base).rpartition(".")[2] for base in node.bases} & bases
    }

    assert defined == bases - {"EggError"}


def test_every_error_that_is_defined_elsewhere_is_known_to_be_there() -> None:
    elsewhere = {kind.__name__ for kind in error_classes() if kind.__module__ != "models.errors"}

    assert elsewhere == set(ELSEWHERE)
