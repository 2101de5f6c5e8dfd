"""What a stack took from the shell it was started in, and keeps until it is started anew."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from egg_tasks import agent_tools, settings_file
from egg_tasks.settings_table import BY_VARIABLE, Kind
from egg_tasks.stack import commands
from egg_tasks.stack.manifest import Manifest
from egg_tasks.stack.preflight import name_of
from models.masking import masked

PATH, ORIGIN = "PATH", "PATH comes from"
SHELL = "the shell `egg up` is typed in"
OF_CLIENTS = frozenset({"EGG_HOME", "EGG_ORCHESTRATOR_URL", "EGG_DEBUG", agent_tools.VARIABLE})
KEPT = frozenset({"EGG_API_PORT", "EGG_GATEWAY_PORT", "EGG_OPERATOR_TOKEN"})
"""What stack.json keeps, so that it need not be said again."""

SECRETIVE = ("TOKEN", "SECRET", "PASSWORD", "URL", "KEY")
BEFORE_DIGEST = "#"


def of(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a stack of *home* takes from *environ*: agents' PATH and its origin, LANG, EGG_*.

    What may be secret is a digest; of a URL, it stands behind the host.
    """
    ours = commands.environment(home, environ, None)
    path = ours[agent_tools.VARIABLE]
    is_in_file = agent_tools.said_in_file(home) == path
    found = {
        PATH: path,
        ORIGIN: str(home / settings_file.NAME) if is_in_file else SHELL,
        "LANG": ours["LANG"],
    }
    names = {name for name in ours if name.startswith("EGG_") and ours[name]} - OF_CLIENTS
    return found | {name: _veiled(name, ours[name]) for name in sorted(names)}


def taken(stack: Manifest) -> dict[str, str]:
    """Return what the stack that wrote *stack* has: what it took, and its port; empty for an older one."""
    return {"EGG_API_PORT": str(stack.api_port), **stack.frozen} if stack.frozen else {}


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line for each setting that a new start would take otherwise; none for an older stack's."""
    return [*_lines(then, now)] if then else []


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of those settings."""
    return [
        name
        for name in dict.fromkeys((*then, *now))
        if then and then.get(name) != now.get(name) and name != ORIGIN and (name in now or name not in KEPT)
    ]


def shown(said: Mapping[str, str]) -> list[str]:
    """Return what was taken but the PATH, each as `NAME=value`; of what may be secret the name alone."""
    names = [name for name in said if name not in {PATH, ORIGIN}]
    return [f"{name}={text}" if (text := told(name, said)) else name for name in names]


def told(name: str, said: Mapping[str, str]) -> str:
    """Return what may be shown of a setting that was taken: all, of a URL its host, of a secret nothing."""
    value = said.get(name, "")
    return value.rpartition(BEFORE_DIGEST)[0] if _is_secretive(name) else value


def _lines(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in differing(then, now):
        was, is_now = spoken(name, then), spoken(name, now)
        yield f"{name} is another one here" if was == is_now else f"{name} is {was}, here {is_now}"


def spoken(name: str, said: Mapping[str, str]) -> str:
    """Return what is said of a setting beside what another start would take."""
    return (told(name, said) or "set") if name in said else "not set"


def _is_secretive(name: str) -> bool:
    if name in BY_VARIABLE:
        return BY_VARIABLE[name].is_secret or BY_VARIABLE[name].kind is Kind.URL
    return any(part in name for part in SECRETIVE)


def _veiled(name: str, value: str) -> str:
    if not _is_secretive(name):
        return masked(value)
    is_url = name in BY_VARIABLE and BY_VARIABLE[name].kind is Kind.URL
    digest = hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()
    return f"{name_of(value) if is_url else ''}{BEFORE_DIGEST}{digest}"
