"""What the tests of commands share: a person at a command line, and the server that answers."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.main import run
from tests.unit.scripted_server import Scripted, serving


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`egg` is on the PATH, and is this one."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Scripted]:
    """A server that answers an operator as it is told."""
    with serving() as script:
        monkeypatch.setenv("EGG_HOME", str(tmp_path))
        monkeypatch.setenv("EGG_ORCHESTRATOR_URL", script.url)
        monkeypatch.setenv("EGG_OPERATOR_TOKEN", "operator")
        yield script


@pytest.fixture
def egg(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command as it is typed; its exit code."""

    def typed(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["egg", *arguments])
        return run()

    return typed
