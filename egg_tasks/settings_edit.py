"""Changes settings.toml as a person would: one value, with their comments and order kept."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from egg_tasks import model_providers, settings_file
from egg_tasks.settings_table import BY_KEY, BY_VARIABLE, SETTINGS, TABLES, Kind, Setting, fault_of
from models.errors import NotFound, Unprocessable
from models.schemas.fault import meant

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

EXAMPLES = {Kind.PORT: "8700", Kind.NAMES: "[]", Kind.VARIABLES: "{}", Kind.PROVIDER: model_providers.EXAMPLE}
TABLES_OF_THEIR_OWN = {Kind.VARIABLES, Kind.PROVIDER}
"""What is written by hand."""


def find(name: str) -> Setting:
    """The setting that is called by its key or its variable; `NotFound` names the one that was meant."""
    setting = BY_KEY.get(name) or BY_VARIABLE.get(name)
    if setting is None:
        known = [*BY_KEY, *BY_VARIABLE]
        raise NotFound(
            f"there is no setting {name!r}{meant(name, known)}; `egg settings` names all there are"
        )
    return setting


def put(home: Path, setting: Setting, text: str | None) -> Path:
    """Say *text* of a setting in the file of *home*, or nothing any more; the file.

    `Unprocessable` for what is no value of it, and where the file is faulty already. The file is whole at any
    time, and its owner's alone.
    """
    if not setting.key or setting.kind in TABLES_OF_THEIR_OWN:
        raise Unprocessable(_elsewhere(home, setting))
    if text is not None and (fault := fault_of(setting, text)):
        raise Unprocessable(f"{setting.key} {fault}")
    path = home / settings_file.NAME
    document = _read(home, path)
    table, _, name = setting.key.partition(".")
    if text is not None:
        if table not in document:
            document[table] = {}
        document[table][name] = _value(setting, text)
    elif name in document.get(table, {}):
        del document[table][name]
    else:
        return path
    content = document.as_string().encode()
    settings_file.parsed(content, path)
    _write(path, content)
    return path


def example() -> str:
    """A file with every setting in it, each as a comment with its default."""
    return "\n".join(_example())


def _example() -> Iterator[str]:
    yield "# Settings of egg: $EGG_HOME/settings.toml. A variable of the environment wins over its line here."
    for table, says in TABLES.items():
        yield f"\n[{table}]  # {says}"
        for setting in SETTINGS:
            if setting.table == table:
                yield f"\n# {setting.help}"
                yield f"# ({'; '.join(_notes(setting))})"
                value = setting.default if setting.kind is Kind.WHOLE else f'"{setting.default}"'
                yield f"# {setting.key.partition('.')[2]} = {EXAMPLES.get(setting.kind, value)}"


def _notes(setting: Setting) -> Iterator[str]:
    if setting.variable:
        yield setting.variable
    if setting.default or setting.otherwise:
        yield f"default: {setting.default or setting.otherwise}"
    yield f"takes effect {setting.effect}"


def _read(home: Path, path: Path) -> "TOMLDocument":
    import tomlkit

    settings_file.read(home)
    try:
        return tomlkit.parse(path.read_bytes())
    except FileNotFoundError:
        return tomlkit.document()


def _value(setting: Setting, text: str) -> object:
    if setting.kind in {Kind.WHOLE, Kind.PORT}:
        return int(text)
    return text.replace(",", " ").split() if setting.kind is Kind.NAMES else text


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  made 0600 from the start
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _elsewhere(home: Path, setting: Setting) -> str:
    if setting.key:
        return f"{setting.key} is a table: write [{setting.key}] into {home / settings_file.NAME} by hand"
    return f"{setting.variable} is said in the environment alone: export {setting.variable}=…"
