"""`$EGG_HOME/settings.toml`: what a person says once about this machine; all of it is optional.

What may stand there is said by `settings_table`. Each fault is a sentence with the line it is in.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from egg_tasks import model_providers
from egg_tasks.model_providers import Provider
from egg_tasks.settings_table import BY_KEY, SETTINGS, TABLES, Kind, Setting, fault_of
from models.errors import EggError, Unprocessable
from models.schemas.fault import meant

NAME = "settings.toml"
MAX_BYTES = 64 * 1024
MAX_LINE = 8 * 1024
"""A dotted key takes its square in time to read."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SettingsFile:
    """What the file says."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By key, as `node.capacity`, each as the environment would have it."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`fetch.environment`."""
    providers: Mapping[str, Provider] = field(default_factory=dict, repr=False)
    """By name."""

    def get(self, key: str) -> str | None:
        """What is said of one setting."""
        return self.values.get(key)


def read(home: Path) -> SettingsFile:
    """Read the settings of the stack in *home*; without a file, all defaults.

    `Unprocessable`, naming file and line, for what is not TOML, an unknown key or a wrong kind of value.
    """
    path = home / NAME
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return SettingsFile()
    except OSError as error:
        raise Unprocessable(f"{path} cannot be read ({error}): mend or remove it") from error
    return parsed(content, path)


def parsed(content: bytes, path: Path) -> SettingsFile:
    """Take *content* for that of the file at *path*; raises as `read` does."""
    try:
        if len(content) > MAX_BYTES or max(map(len, content.splitlines()), default=0) > MAX_LINE:
            raise Unprocessable(f"{path} has more than 64 KiB, or a line of more than 8: mend or remove it")
        found = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise Unprocessable(f"{path} cannot be read ({error}): mend or remove it") from error
    for key, fault in _faults(found):
        at = _line_of(key, content.decode())
        where = f"{path}, line {at}" if at else str(path)
        raise Unprocessable(f"{where}: {key}: {fault}: mend or remove it")
    providers = model_providers.taken(found.pop(model_providers.TABLE, {}))
    said = {
        key: found[table][name] for table in found for name in found[table] for key in [f"{table}.{name}"]
    }
    values = {key: text_of(value) for key, value in said.items() if BY_KEY[key].kind is not Kind.VARIABLES}
    return SettingsFile(values, found.get("fetch", {}).get("environment", {}), providers)


def variables(home: Path) -> dict[str, str]:
    """What the file of *home* says of those settings that have a variable, by its name."""
    values = read(home).values
    return {BY_KEY[key].variable: text for key, text in values.items() if BY_KEY[key].variable}


def completed(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """*environ* with what only the file of *home* says: a variable that is there wins, also an empty one."""
    return {**variables(home), **environ}


def completed_if_read(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The same for a command that must work with a file that cannot be read: then without it."""
    try:
        return completed(environ, home)
    except EggError:
        return dict(environ)


def text_of(value: object) -> str:
    """A value of the file as the environment would have it."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _faults(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, by its key."""
    for table, entries in found.items():
        if table not in TABLES:
            whole = [setting.key for setting in SETTINGS if setting.key.endswith(f".{table}")]
            way = f" (did you mean `{whole[0]}`?)" if whole else meant(table, TABLES)
            yield table, f"there is no such table{way}; `egg settings` names all there are"
        elif not isinstance(entries, dict):
            yield table, f"must be a table: write [{table}], and below it what it holds"
        elif table == model_providers.TABLE:
            yield from model_providers.faults(entries)
        else:
            for name, value in entries.items():
                key = f"{table}.{name}"
                if key not in BY_KEY:
                    yield (
                        key,
                        f"there is no such setting{meant(key, BY_KEY)}; `egg settings` names all there are",
                    )
                elif fault := _fault(BY_KEY[key], value):
                    yield key, fault


def _fault(setting: Setting, value: object) -> str:
    """What is wrong with a value as TOML has it; else empty."""
    if setting.kind is Kind.VARIABLES:
        return _fault_of_variables(value)
    if setting.kind in {Kind.WHOLE, Kind.PORT}:
        # TOML's true is Python's 1.
        is_right, wanted = type(value) is int, f"must be {setting.kind}, without quotes"
    elif setting.kind is Kind.NAMES and isinstance(value, list):
        is_right, wanted = all(isinstance(each, str) for each in value), "must be a list of names in quotes"
    else:
        is_right, wanted = isinstance(value, str), "must be text in quotes"
    return fault_of(setting, text_of(value)) if is_right else wanted


def _fault_of_variables(value: object) -> str:
    if not isinstance(value, dict):
        return 'must be a table of variables: {SSH_AUTH_SOCK = "/run/agent.sock"}'
    for name, text in value.items():
        if not VARIABLE.fullmatch(name):
            return f"{name[:80]!r} is not the name of a variable"
        if name.startswith("EGG_"):
            return f"{name[:80]} must not begin with EGG_: those variables are the orchestrator's"
        if not isinstance(text, str) or "\0" in text:
            return f"{name[:80]} must be text in quotes"
    return ""


def _line_of(key: str, text: str) -> int | None:
    """The line in which *key* is said, as people write TOML; None where it is not found that way."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^]]*?)\s*\]", line):
            table = re.sub(r"[\s\"']", "", header[1])
            if table == key or (table.startswith(f"{key}.") and "." not in key):
                return number
        elif said := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
            name = re.sub(r"[\s\"']", "", said[1])
            whole = f"{table}.{name}" if table else name
            if whole == key or whole.startswith(f"{key}.") or key.startswith(f"{whole}."):
                return number
    return None
