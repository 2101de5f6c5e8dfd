"""The only place that runs git. Nothing in a repository or a clone can make it run anything else."""

import errno
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, NoReturn

from egg_tasks import disk
from egg_tasks.workspace import bounds
from egg_tasks.workspace.processes import PipedProcess
from models.errors import Unavailable
from models.masking import masked

TIME_LIMIT = bounds.USUAL
LARGEST_OUTPUT = 256 * 1024 * 1024
"""Bytes that are held of what a git says."""
LARGEST_RECORD = 1024 * 1024
TOO_MUCH = -1
"""The exit code of a git that was stopped because it said too much."""
IDENTITY = ("egg", "egg@localhost")

# Given through the environment, so that they outrank every file and reach what git itself starts.
SETTINGS = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    # What only speeds git up is not believed: in a clone, an agent may have written it.
    ("core.commitGraph", "false"),
    ("core.multiPackIndex", "false"),
    ("pack.useBitmaps", "false"),
    ("core.fsync", "committed"),
    ("core.fsyncMethod", "batch"),
    ("core.filesRefLockTimeout", "5000"),
    ("core.packedRefsTimeout", "5000"),
    ("protocol.ext.allow", "never"),
    ("protocol.fd.allow", "never"),
    ("safe.directory", "*"),
    ("safe.bareRepository", "all"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("advice.detachedHead", "false"),
)


class GitFailed(Exception):
    """A git command ended with an error; the workspace's callers never see this."""

    def __init__(self, arguments: Sequence[str], code: int, errors: str) -> None:
        # Git repeats the URL it was given, or found in a configuration.
        errors = masked(errors)
        super().__init__(tuple(map(masked, arguments)), code, errors)
        self.arguments = tuple(arguments)
        self.code = code
        self.errors = errors

    def __str__(self) -> str:
        return self.errors.strip() or f"exit code {self.code}"


def search_path() -> str:
    """Where git, and what it starts, is looked for: where this process looks."""
    return os.environ.get("PATH", os.defpath)


@dataclass(frozen=True)
class Git:
    """Git over one repository: what it reads its configuration from, and may write to."""

    directory: Path
    work_tree: Path | None = None
    index: Path | None = None
    borrowed: Path | None = None
    """A clone's object directory, read as if its objects were the repository's."""
    objects: Path | None = None
    """Where new objects go instead of into the repository."""
    excludes: Path | None = None
    """Patterns of files to ignore, beside those in the work tree."""
    is_fleeting: bool = False
    """Whether what it writes is thrown away, and need not outlive a power cut."""
    configuration: Path = Path(os.devnull)
    """Read as the user's own configuration."""

    @property
    def is_attended(self) -> bool:
        """Whether git may ask the person at the terminal: then it stays in their session."""
        return False

    def within(
        self, work_tree: Path, *, index: Path, borrowed: Path | None = None, excludes: Path | None = None
    ) -> "Git":
        """The same repository looking at somebody else's files, whose own .git is not consulted."""
        return replace(self, work_tree=work_tree, index=index, borrowed=borrowed, excludes=excludes)

    def run(
        self,
        *arguments: str,
        stdin: bytes | IO[bytes] = b"",
        stdout: IO[bytes] | None = None,
        timeout: timedelta = TIME_LIMIT,
        holding: tuple[int, ...] = (),
    ) -> bytes:
        """Run one command and return its output (unless it goes to *stdout*).

        Files in *holding* stay open, and so locked, until git itself is gone. Raises `GitFailed`, also for
        more output than `LARGEST_OUTPUT`, and `Unavailable` when it takes longer than *timeout*, git is
        missing or the disk is full (`NoRoom`).
        """
        with self._started(arguments, stdin, stdout, holding) as process:
            output = b"".join(_bounded(arguments, process.exchange(stdin, timeout)))
        if process.code:
            self._fail(arguments, process)
        return output

    def records(
        self, *arguments: str, end: bytes = b"\0", stdin: bytes = b"", timeout: timedelta = TIME_LIMIT
    ) -> Iterator[bytes]:
        """Run a command and give what it says piece by piece, each up to *end*; git ends with the iterator.

        However much it says, no more than one piece is held. Raises what `run` raises.
        """
        with self._started(arguments, stdin, None, ()) as process:
            rest = b""
            for part in process.exchange(stdin, timeout):
                *whole, rest = (rest + part).split(end)
                if len(rest) > LARGEST_RECORD:
                    raise GitFailed(arguments, TOO_MUCH, f"one line has more than {LARGEST_RECORD} bytes")
                yield from whole
        if process.code:
            self._fail(arguments, process)
        if rest:
            yield rest

    def pieces(self, *arguments: str, stdin: bytes = b"", timeout: timedelta = TIME_LIMIT) -> Iterator[bytes]:
        """Run a command and give its output as it comes; git ends with the iterator."""
        with self._started(arguments, stdin, None, ()) as process:
            yield from process.exchange(stdin, timeout)
        if process.code:
            self._fail(arguments, process)

    def line(self, *arguments: str) -> str:
        """Run a command that answers with one line."""
        return self.run(*arguments).decode("utf-8", "surrogateescape").strip("\n")

    def lines(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Run a command that answers with lines."""
        return self.run(*arguments, stdin=stdin).decode("utf-8", "surrogateescape").splitlines()

    def answers(self, *arguments: str) -> tuple[bool, bytes]:
        """Run a command whose exit code 1 means no; whether it said yes, and its output."""
        with self._started(arguments, b"", None, ()) as process:
            output = b"".join(_bounded(arguments, process.exchange(b"", TIME_LIMIT)))
        if process.code not in {0, 1}:
            self._fail(arguments, process)
        return process.code == 0, output

    @contextmanager
    def _started(
        self,
        arguments: Sequence[str],
        stdin: bytes | IO[bytes],
        stdout: IO[bytes] | None,
        holding: tuple[int, ...],
    ) -> Iterator[PipedProcess]:
        try:
            started = subprocess.Popen(
                ["git", *arguments],
                cwd=self.work_tree or self.directory,
                env=dict(self._environment()),
                stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
                stdout=stdout or subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=not self.is_attended,
                pass_fds=holding,
            )
        except FileNotFoundError as error:
            if self.directory.exists() and (self.work_tree or self.directory).exists():
                raise Unavailable("git is not installed: install git 2.38 or newer") from error
            raise GitFailed(arguments, 128, f"{error.filename} does not exist") from error
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise GitFailed(arguments, 128, "a name in it is too long") from error
            raise Unavailable(f"git cannot be started: {error.strerror or error}") from error
        process = PipedProcess(
            started, f"git {arguments[0]} in {self.directory}", is_attended=self.is_attended
        )
        try:
            yield process
        finally:
            process.end()

    def _fail(self, arguments: Sequence[str], process: PipedProcess) -> NoReturn:
        """Raise what a command failed of; for want of room, its repository is not to blame.

        What git says may hold names an agent chose: it is believed to the end while the disk is full.
        """
        if any(words in process.errors for words in disk.WORDS):
            disk.need(self.directory)
            raise Unavailable("git had no room on the disk just now; it is tried again")
        raise GitFailed(arguments, process.code, process.errors)

    def _environment(self) -> Iterator[tuple[str, str]]:
        yield "PATH", search_path()
        yield "LC_ALL", "C.UTF-8"
        yield "HOME", "/nonexistent"
        yield "GIT_DIR", str(self.directory)
        yield "GIT_CONFIG_NOSYSTEM", "1"
        yield "GIT_CONFIG_GLOBAL", str(self.configuration)
        yield "GIT_ATTR_NOSYSTEM", "1"
        yield "GIT_TERMINAL_PROMPT", "0"
        yield "GIT_SSH_COMMAND", "ssh -o BatchMode=yes"
        yield "GIT_NO_REPLACE_OBJECTS", "1"
        yield "GIT_LITERAL_PATHSPECS", "1"
        for who in ("AUTHOR", "COMMITTER"):
            yield f"GIT_{who}_NAME", IDENTITY[0]
            yield f"GIT_{who}_EMAIL", IDENTITY[1]
        if self.work_tree:
            yield "GIT_WORK_TREE", str(self.work_tree)
        if self.index:
            yield "GIT_INDEX_FILE", str(self.index)
        if self.objects:
            yield "GIT_OBJECT_DIRECTORY", str(self.objects)
        if self.borrowed:
            yield "GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(self.borrowed)
        fleeting = [("core.fsync", "none"), ("core.looseCompression", "0")] if self.is_fleeting else []
        settings = [
            *SETTINGS,
            *fleeting,
            *bounds.settings(),
            ("core.excludesFile", str(self.excludes or os.devnull)),
        ]
        yield "GIT_CONFIG_COUNT", str(len(settings))
        for number, (key, value) in enumerate(settings):
            yield f"GIT_CONFIG_KEY_{number}", key
            yield f"GIT_CONFIG_VALUE_{number}", value


def _bounded(arguments: Sequence[str], pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST_OUTPUT:
            raise GitFailed(arguments, TOO_MUCH, f"git said more than {LARGEST_OUTPUT} bytes")
        yield piece


def quoted(path: Path | str) -> str:
    """Write a path or a URL as git reads it in configuration and in lists: any character is safe."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
