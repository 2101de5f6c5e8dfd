"""Valkey of the local stack: broker, chord counts and wake-up hints, kept on disk each second."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from egg_tasks.stack import binaries, home, orphans, probes
from egg_tasks.stack.processes import Program
from egg_tasks.stack.run_as import own_directory

SETTINGS = (
    ("--port", "0"),
    ("--unixsocketperm", "700"),
    ("--appendonly", "yes"),
    ("--appendfsync", "everysec"),
    ("--maxmemory-policy", "noeviction"),
    ("--save", ""),
    ("--daemonize", "no"),
)


@dataclass(frozen=True)
class Valkey:
    """One server: its program, where its files and its socket are."""

    program_path: Path
    directory: Path
    socket: Path

    @property
    def url(self) -> str:
        """Return how clients reach it, as redis-py spells it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def program(self) -> Program:
        """Return the server as a child to keep."""
        places = (("--unixsocket", str(self.socket)), ("--dir", str(self.directory)))
        options = (word for setting in (*places, *SETTINGS) for word in setting)
        return Program(
            name="valkey",
            argv=(str(self.program_path), *options),
            environment={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            tier=1,
            before=self.clear,
            is_ready=self.answers,
        )

    def answers(self) -> bool:
        """Whether it serves clients."""
        return probes.valkey_answers(self.socket)

    def clear(self) -> None:
        """Wait for a predecessor: two servers would write one log."""
        orphans.clear(self.directory, names={"valkey-server", "redis-server", self.program_path.name[:15]})


def prepare(directory: Path, environ: Mapping[str, str]) -> Valkey:
    """Find the program, and make the server's directories in the stack's home."""
    program = binaries.find_valkey(environ)
    sockets = own_directory(home.sockets(directory) / "valkey", None)
    with home.translated(directory):
        data = own_directory(directory / "valkey", None)
    return Valkey(program, data, sockets / "valkey.sock")
