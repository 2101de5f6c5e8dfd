"""The only place that runs git. Nothing in a repository or a clone can make it run anything else."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO

from egg_tasks import disk
from models.errors import Unavailable

TIME_LIMIT = timedelta(seconds=120)
IDENTITY = ("egg", "egg@localhost")

# Given through the environment, so that they outrank every file and reach what git itself starts.
SETTINGS = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
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
        super().__init__(arguments, code, errors)
        self.code = code
        self.errors = errors

    def __str__(self) -> str:
        return self.errors.strip() or f"exit code {self.code}"


@dataclass(frozen=True)
class Git:
    """Git over one repository: what it reads its configuration from, and may write to."""

    directory: Path
    work_tree: Path | None = None
    index: Path | None = None
    borrowed: Path | None = None
    """A clone's object directory, read as if its objects were the repository's."""
    excludes: Path | None = None
    """Patterns of files to ignore, beside those in the work tree."""
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

        Files in *holding* stay open, and so locked, until git itself is gone. Raises `GitFailed`, and
        `Unavailable` when it takes longer than *timeout*, git is missing or the disk is full (`NoRoom`).
        """
        code, output, errors = self._execute(arguments, stdin, stdout, timeout, holding)
        if code:
            raise GitFailed(arguments, code, errors)
        return output

    def line(self, *arguments: str) -> str:
        """Run a command that answers with one line."""
        return self.run(*arguments).decode("utf-8", "surrogateescape").strip("\n")

    def lines(self, *arguments: str, stdin: bytes = b"") -> list[str]:
        """Run a command that answers with lines."""
        return self.run(*arguments, stdin=stdin).decode("utf-8", "surrogateescape").splitlines()

    def answers(self, *arguments: str) -> tuple[bool, bytes]:
        """Run a command whose exit code 1 means no; whether it said yes, and its output."""
        code, output, errors = self._execute(arguments, b"", None, TIME_LIMIT, ())
        if code not in {0, 1}:
            raise GitFailed(arguments, code, errors)
        return code == 0, output

    def _execute(
        self,
        arguments: Sequence[str],
        stdin: bytes | IO[bytes],
        stdout: IO[bytes] | None,
        timeout: timedelta,
        holding: tuple[int, ...],
    ) -> tuple[int, bytes, str]:
        try:
            process = subprocess.Popen(
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
        with process:
            try:
                output, errors = process.communicate(
                    stdin if isinstance(stdin, bytes) else None, timeout=timeout.total_seconds()
                )
            except subprocess.TimeoutExpired as error:
                seconds = f"{timeout.total_seconds():g}"
                raise Unavailable(
                    f"git {arguments[0]} in {self.directory} took longer than {seconds} s"
                ) from error
            finally:
                if process.poll() is None and self.is_attended:
                    process.kill()
                elif process.poll() is None:
                    # Its own session, so that a transport program it started dies with it.
                    os.killpg(process.pid, signal.SIGKILL)
        said = errors.decode("utf-8", "backslashreplace")
        if process.returncode:
            self._blame_disk(said)
        return process.returncode, output or b"", said

    def _blame_disk(self, said: str) -> None:
        """Raise what a command that failed for want of room failed of: its repository is not to blame.

        What git says may hold names an agent chose: it is believed to the end while the disk is full.
        """
        if any(words in said for words in disk.WORDS):
            disk.need(self.directory)
            raise Unavailable("git had no room on the disk just now; it is tried again")

    def _environment(self) -> Iterator[tuple[str, str]]:
        yield "PATH", os.environ.get("PATH", os.defpath)
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
        if self.borrowed:
            yield "GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(self.borrowed)
        settings = [*SETTINGS, ("core.excludesFile", str(self.excludes or os.devnull))]
        yield "GIT_CONFIG_COUNT", str(len(settings))
        for number, (key, value) in enumerate(settings):
            yield f"GIT_CONFIG_KEY_{number}", key
            yield f"GIT_CONFIG_VALUE_{number}", value


def quoted(path: Path | str) -> str:
    """Write a path or a URL as git reads it in configuration and in lists: any character is safe."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
