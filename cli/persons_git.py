"""The person's own git: told to do nothing but what is asked, or run as they would type it."""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from egg_tasks.workspace.reach import of_this_person
from models.errors import Unprocessable

SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.file.allow=always",
)
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
SECONDS = 600


class GitSaidNoError(Exception):
    """What was asked could not be done, and this is why."""


@dataclass(frozen=True)
class Done:
    """What a git that ran as the person's has said."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """All of it."""
        return "\n".join(part for part in (self.output.rstrip(), self.errors.rstrip()) if part)


def ask(repository: Path, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> str:
    """Run git with hooks and housekeeping off; its answer, or `GitSaidNoError` with its reason.

    *index* stands in for the repository's own.
    """
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    more = {"GIT_INDEX_FILE": str(index)} if index else {}
    done = _run(repository, [*settings, *arguments], {"LC_ALL": "C", **more}, stdin)
    if done.returncode:
        raise GitSaidNoError(_reason(done))
    return done.stdout.decode(errors="surrogateescape").strip()


def answer(repository: Path, *arguments: str) -> str:
    """What git says, or nothing when it says no."""
    try:
        return ask(repository, *arguments)
    except GitSaidNoError:
        return ""


def run(
    repository: Path, *arguments: str, variables: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Done:
    """Run git as the person would type it: their configuration, identity and hooks. It asks nobody.

    Raises `GitSaidNoError` only when there is no git.
    """
    done = _run(repository, arguments, {"GIT_EDITOR": ":", **(variables or {})}, stdin)
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def output(repository: Path, *arguments: str) -> bytes:
    """What git says, byte for byte; `GitSaidNoError` with its reason."""
    done = _run(repository, arguments, {}, b"")
    if done.returncode:
        raise GitSaidNoError(_reason(done))
    return done.stdout


def pass_through(repository: Path, *arguments: str) -> None:
    """Run git with stdout as ours is, byte for byte; `Unprocessable` if it fails."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=repository,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    require_whole(done.returncode)


def require_whole(code: int) -> None:
    """Raise `Unprocessable` if git, which has said why on stderr, did not say all; not if its reader left."""
    if code not in {0, -signal.SIGPIPE}:
        raise Unprocessable(f"what git shows is not whole: it ended with exit code {code}")


def environment() -> Mapping[str, str]:
    """The person's environment, without what sends git to another repository."""
    return of_this_person(is_attended=False).variables


def _run(
    repository: Path, arguments: Sequence[str], variables: Mapping[str, str], stdin: bytes
) -> "subprocess.CompletedProcess[bytes]":
    if shutil.which("git") is None:
        raise GitSaidNoError("git cannot be started (No such file or directory)")
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments],
            env={**environment(), **variables},
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except OSError as error:
        raise GitSaidNoError(f"git cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise GitSaidNoError(f"git did not answer for {SECONDS} s") from error


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
    return said[0].removeprefix("fatal: ").removeprefix("error: ")
