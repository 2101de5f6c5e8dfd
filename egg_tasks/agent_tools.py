"""The `egg` that agents find: a copy of the agent commands in a directory of its own, and their PATH.

`<EGG_HOME>/agent-tools/<version>+<digest>/` holds `bin/`, with `egg` and `egg-orch` alone, `bin-container/`
with the same for containers, where it is /opt/egg/bin, and `lib/`, with our packages and click. A directory
is whole or not there and never changed: another version gets another one, and an agent that outlives an
upgrade keeps the one it started with.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from egg_tasks.interpreter import OURS
from models.errors import Unavailable

NAME = "agent-tools"
VARIABLE = "EGG_AGENTS_PATH"
PACKAGES = ("cli", "egg_tasks", "models")
LIBRARY, IN_CONTAINERS = "lib", "bin-container"
LONGEST_SHEBANG = 120
HALF_MADE_SECONDS = 3600.0

SCRIPT = '''\
"""The egg command of agents, which nothing in their environment or directory leads astray."""
import sys
from os.path import dirname, realpath

# What only people's commands need comes from the installation that made this, while it is there.
sys.path += [dirname(dirname(realpath(__file__))) + "/lib", {installed!r}]
from egg_tasks.entry import main

sys.exit(main())
'''

CONTAINER_SCRIPT = """\
#!/bin/sh
# The image's own Python, wherever that is: an agent may have put another one in front on its PATH.
for python in /usr/local/bin/python3 /usr/bin/python3; do
  [ -x "$python" ] && exec "$python" -IS /opt/egg/bin/.egg.py "$@"
done
exec python3 -IS /opt/egg/bin/.egg.py "$@"
"""
CONTAINER_GITCONFIG = """\
# What of the pipeline's repository is there to read belongs to another user.
[include]
	path = /etc/gitconfig
[safe]
	directory = *
"""
METADATA = "Metadata-Version: 2.1\nName: egg-tasks\nVersion: {version}\n"


def install(home: Path) -> Path:
    """Return the directory with the `egg` of agents, made unless it is there; safe to do at once.

    `Unavailable` when the disk refuses.
    """
    target = place(home).parent
    try:
        if not target.exists():
            _make(target)
    except OSError as error:
        raise Unavailable(
            f"the agents' egg command cannot be put into {target} ({error.strerror or error}): "
            "free what is short and it is tried again"
        ) from error
    return target / "bin"


def place(home: Path) -> Path:
    """Where the directory with the `egg` of agents is, made or not."""
    return home / NAME / _name() / "bin"


def renew(home: Path) -> None:
    """Install what agents need, mend it where it was changed, and remove the versions that nobody uses."""
    target = home / NAME / _name()
    if target.exists() and _digest(target / "lib") != _digest(*_sources()):
        _remove(target)
    install(home)
    in_use = list(_used())
    for other in (home / NAME).iterdir():
        is_young = time.time() - other.stat().st_mtime < HALF_MADE_SECONDS
        is_in_use = any(os.fsencode(f"/{NAME}/{other.name}/") in used for used in in_use)
        if other != target and not is_in_use and not (other.name.startswith(".") and is_young):
            _remove(other)


def users_path(path: str) -> str:
    """Return a user's PATH without egg's own environment, where an agent's `pip install` would change egg.

    Without a virtual environment there is nothing that is egg's alone.
    """
    entries = path.split(os.pathsep)
    if is_separate():
        entries = [entry for entry in entries if not _is_own(entry)]
    return os.pathsep.join(entries) or os.defpath


def is_separate() -> bool:
    """Whether egg is installed in an environment of its own, as far as Python can tell."""
    return sys.prefix != sys.base_prefix


def _is_own(entry: str) -> bool:
    return Path(entry).is_absolute() and Path(entry).resolve() == Path(sys.prefix).resolve() / "bin"


@cache
def _name() -> str:
    """The directory's name, by all that goes into it."""
    return f"{version('egg-tasks')}+{_digest(*_sources())[:12]}"


def _sources() -> tuple[Path, ...]:
    """The packages that are copied."""
    return (_click(), *(OURS / package for package in PACKAGES))


def _click() -> Path:
    spec = find_spec("click")
    assert spec is not None, "the command line is made with click"  # noqa: S101
    return Path(next(iter(spec.submodule_search_locations or ())))


def _digest(*directories: Path) -> str:
    """A hash over the sources in some directories, and how they are entered."""
    found = hashlib.sha256((_script() + CONTAINER_SCRIPT + CONTAINER_GITCONFIG + METADATA).encode())
    for name, path in sorted(_modules(directories)):
        with suppress(OSError):
            found.update(f"{name}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _modules(directories: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Yield each module's path as it is imported, and where it lies now."""
    for directory in directories:
        top = directory if directory.name == "lib" else directory.parent
        yield from ((str(path.relative_to(top)), path) for path in directory.rglob("*.py"))


def _script() -> str:
    """The program `egg`, with the interpreter's real path: it outlives egg's own environment."""
    python = os.path.realpath(sys.executable)
    text = SCRIPT.format(installed=str(_click().parent))
    if " " not in python and len(python) < LONGEST_SHEBANG:
        return f"#!{python} -IS\n{text}"
    # The kernel takes neither long nor blank: the same line is a string to Python, a command to the shell.
    quoted = python.replace('"', '\\"')
    return f"#!/bin/sh\n'''exec' \"{quoted}\" -IS \"$0\" \"$@\"\n' '''\n{text}"


def _make(target: Path) -> None:
    """Put a directory together beside its place and move it there."""
    target.parent.mkdir(mode=0o755, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        (draft / "bin").mkdir()
        for source in _sources():
            shutil.copytree(source, draft / "lib" / source.name, ignore=_no_strangers)
        (draft / "bin/egg").write_text(_script(), encoding="utf-8")
        (draft / "bin/egg-orch").symlink_to("egg")
        _make_for_containers(draft / IN_CONTAINERS)
        said = draft / LIBRARY / f"egg_tasks-{version('egg-tasks')}.dist-info"
        said.mkdir()
        (said / "METADATA").write_text(METADATA.format(version=version("egg-tasks")), encoding="utf-8")
        _open(draft)
        _place(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_for_containers(directory: Path) -> None:
    """What takes the place of `bin` in a container, which has neither our installation nor our user."""
    directory.mkdir()
    (directory / "egg").write_text(CONTAINER_SCRIPT, encoding="utf-8")
    (directory / "egg-orch").symlink_to("egg")
    (directory / ".gitconfig").write_text(CONTAINER_GITCONFIG, encoding="utf-8")
    (directory / ".egg.py").write_text(SCRIPT.format(installed="/opt/egg/lib"), encoding="utf-8")


def _open(draft: Path) -> None:
    """Let all read what lies there, and execute what is executed, whatever our umask."""
    for directory, _, files in os.walk(draft):
        Path(directory).chmod(0o755)
        for path in (Path(directory, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.name == "egg" else 0o644)


def _place(draft: Path, target: Path) -> None:
    """Give a finished directory its name, unless somebody was faster."""
    try:
        draft.rename(target)
    except OSError:
        if not target.exists():
            raise


def _no_strangers(_directory: str, names: list[str]) -> set[str]:
    """What of a directory is not copied: what other Pythons have compiled."""
    return {
        name for name in names if name.endswith(".pyc") and f".{sys.implementation.cache_tag}." not in name
    }


def _remove(directory: Path) -> None:
    """Take a directory away, at once for whoever looks for it."""
    gone = Path(tempfile.mkdtemp(prefix=".", dir=directory.parent))
    with suppress(OSError):
        directory.rename(gone / "old")
    shutil.rmtree(gone, ignore_errors=True)


def _used() -> Iterator[bytes]:
    """Yield what this machine's processes have, as far as we may see it: on their PATH, or in a container."""
    for name in ("environ", "mountinfo"):
        for path in Path("/proc").glob(f"[0-9]*/{name}"):
            with suppress(OSError):
                yield path.read_bytes()


def agents_path(environ: Mapping[str, str], home: Path) -> str:
    """Return the PATH agents of *home* have behind their `egg`.

    EGG_AGENTS_PATH, which a stack's processes are given, else settings.toml's, else this shell's own.
    `Unprocessable` for a settings.toml that cannot be read.
    """
    if given := environ.get(VARIABLE):
        return _at_home(given)
    said = said_in_file(home)
    return users_path(environ.get("PATH", "")) if said is None else said


def said_in_file(home: Path) -> str | None:
    """Return the PATH that settings.toml of *home* gives agents, if it does; `~` is whoever reads it."""
    from egg_tasks import settings_file

    said = settings_file.read(home).get("agents.path")
    return said and _at_home(said)


def _at_home(said: str) -> str:
    return users_path(os.pathsep.join(map(os.path.expanduser, said.split(os.pathsep))))
