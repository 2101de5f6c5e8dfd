"""What a stack took from the shell it was started in, and keeps until it is started anew."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from egg_tasks import agent_tools, settings_file
from egg_tasks.stack import programs
from models.masking import masked

PATH, ORIGIN = "PATH", "PATH comes from"
SHELL = "the shell `egg up` is typed in"
OF_CLIENTS = frozenset({"EGG_HOME", "EGG_ORCHESTRATOR_URL", "EGG_DEBUG", agent_tools.VARIABLE})
KEPT = frozenset({"EGG_API_PORT", "EGG_OPERATOR_TOKEN"})
"""What stack.json keeps, so that it need not be said again."""

SECRETIVE = ("TOKEN", "SECRET", "PASSWORD", "URL", "KEY")


def of(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a stack of *home* takes from *environ*: agents' PATH and its origin, LANG, EGG_*.

    What may be secret is a digest.
    """
    ours = programs.environment(home, environ, None)
    path = ours[agent_tools.VARIABLE]
    is_in_file = agent_tools.said_in_file(home) == path
    found = {
        PATH: path,
        ORIGIN: str(home / settings_file.NAME) if is_in_file else SHELL,
        "LANG": ours["LANG"],
    }
    names = {name for name in ours if name.startswith("EGG_") and ours[name]} - OF_CLIENTS
    return found | {name: _veiled(name, ours[name]) for name in sorted(names)}


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line for each setting that a new start would take otherwise; none for an older stack's."""
    return [*_lines(then, now)] if then else []


def shown(taken: Mapping[str, str]) -> list[str]:
    """Return what was taken but the PATH, each as `NAME=value`; of what may be secret the name alone."""
    names = [name for name in taken if name not in {PATH, ORIGIN}]
    return [name if _is_secretive(name) else f"{name}={taken[name]}" for name in names]


def _lines(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*then, *now)):
        was, is_now = then.get(name), now.get(name)
        if was == is_now or name == ORIGIN or (is_now is None and name in KEPT):
            continue
        if _is_secretive(name):
            yield f"{name} is another one here"
        else:
            yield f"{name} is {_shown(was)}, here {_shown(is_now)}"


def _is_secretive(name: str) -> bool:
    return any(part in name for part in SECRETIVE)


def _veiled(name: str, value: str) -> str:
    if not _is_secretive(name):
        return masked(value)
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()


def _shown(value: str | None) -> str:
    return "not set" if value is None else value
