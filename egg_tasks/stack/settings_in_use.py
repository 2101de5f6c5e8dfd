"""Every setting as it is now: its value, where that comes from, and what the running stack has instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from egg_tasks import settings_file
from egg_tasks.settings_file import SettingsFile
from egg_tasks.settings_table import BY_VARIABLE, SETTINGS, Kind, Setting, fault_of
from egg_tasks.stack import frozen, lifecycle, manifest
from egg_tasks.stack.manifest import Manifest
from egg_tasks.stack.preflight import name_of
from models.masking import masked

ENVIRONMENT, FILE, STACK, DEFAULT = "environment", "file", "stack", "default"
"""Where a value comes from; the stack keeps its port and token."""
SET = "set, not shown"


@dataclass(frozen=True)
class InUse:
    """One setting."""

    setting: Setting
    value: str
    """As it may be shown: of a secret only that it is set. Empty for none."""
    origin: str
    running: str | None = None
    """What the stack that runs has, where that is something else; empty for none."""
    fault: str = ""
    """What is wrong with it, to go on after its name."""


def of(home: Path, environ: Mapping[str, str]) -> Sequence[InUse]:
    """Every setting of a shell with *environ*; `Unprocessable` for a settings.toml that is faulty."""
    own = manifest.without_own(home, environ)
    said = settings_file.read(home)
    stack = manifest.read(home)
    kept = _kept(stack) if stack else {}
    others = _running(home, environ)
    return [_in_use(setting, own, said, kept, others) for setting in SETTINGS]


def shown(setting: Setting, text: str) -> str:
    """What may be shown of a value."""
    if setting.is_secret:
        return name_of(text) if setting.kind is Kind.URL and text else SET if text else ""
    return masked(text)


def _kept(stack: Manifest) -> Mapping[str, str]:
    """What a stack keeps, by variable."""
    port = str(stack.gateway_port) if stack.gateway_port else ""
    return {
        "EGG_API_PORT": str(stack.api_port),
        "EGG_GATEWAY_PORT": port,
        "EGG_OPERATOR_TOKEN": stack.operator_token,
    }


def _in_use(
    setting: Setting,
    environ: Mapping[str, str],
    said: SettingsFile,
    kept: Mapping[str, str],
    others: Mapping[str, str],
) -> InUse:
    tables = {Kind.VARIABLES: said.environment, Kind.PROVIDER: said.providers}
    in_file = ", ".join(tables[setting.kind]) if setting.kind in tables else said.get(setting.key)
    if setting.variable and setting.variable in environ:
        text, origin = environ[setting.variable], ENVIRONMENT
    elif in_file:
        text, origin = in_file, FILE
    else:
        text, origin = "", DEFAULT
    if not text:
        text, is_kept = kept.get(setting.variable, ""), bool(kept.get(setting.variable))
        text, origin = (text, STACK) if is_kept else (setting.default, DEFAULT)
    fault = fault_of(setting, text) if text else ""
    return InUse(setting, shown(setting, text), origin, others.get(setting.variable), fault)


def _running(home: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """What the stack that runs has instead, by variable."""
    found = lifecycle.find(home)
    if found is None:
        return {}
    now, taken = frozen.of(home, lifecycle.surroundings(home, environ)), frozen.taken(found)
    return {
        "EGG_AGENTS_PATH" if name == frozen.PATH else name: _of_the_stack(name, taken)
        for name in frozen.differing(taken, now)
    }


def _of_the_stack(name: str, taken: Mapping[str, str]) -> str:
    if name in taken:
        return frozen.told(name, taken) or SET
    return BY_VARIABLE[name].default if name in BY_VARIABLE else ""
