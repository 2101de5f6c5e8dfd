"""Ignored files of a person's repository that a definition wants in clones: copied, and never followed.

They are in no commit, so a clone is without them. What an agent leaves uncommitted is committed for it, and a
secret would be among that: so a clone whose own `.gitignore` does not ignore a file is told to by its
`.git/info/exclude`.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from egg_tasks.foreign_files import (
    DRAFTING,
    ENTERING,
    LARGEST_TEXT,
    MIB,
    is_directory,
    is_there,
    open_plain,
    parent,
    pieces,
    read_plain,
    write_plain,
)
from egg_tasks.workspace.git import GitFailed
from egg_tasks.workspace.sources import Visit
from models.errors import Unavailable, Unprocessable
from models.schemas.set_up import is_wild, may_be_secret
from models.schemas.source import is_remote, local_path

MOST_FILES = 1000
MOST_BYTES = 64 * MIB
ASKED = ("--no-literal-pathspecs", "check-ignore", "--quiet", "--no-index", "--")
IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP})
INFO, EXCLUDE = ".git/info", "exclude"
SPECIAL = re.compile(r"[\\*?\[]| \Z")
"""What a pattern of git's says with more than itself."""
LISTED = ("--no-literal-pathspecs", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--")


def copy(source: str, directory: Path, paths: Sequence[str]) -> None:
    """Copy files that are ignored in *source* into a clone or checkout; those that are there stay.

    `Unprocessable`, with the way out, for what is not there, is not ignored, may be a secret that nobody has
    named, or is too much.
    """
    if not paths:
        return
    if is_remote(source):
        raise Unprocessable("`include` copies from a repository on this machine, and `repo` is a URL")
    root, left = Path(local_path(source)), MOST_BYTES
    names = list(dict.fromkeys(name for path in paths for name in _named(root, path)))
    if len(names) > MOST_FILES:
        raise Unprocessable(f"`include` names {len(names)} files; it copies {MOST_FILES} at most")
    _keep_out_of_commits(directory, names)
    for name in names:
        left -= _copy_file(root, directory, name, left)


def _named(root: Path, path: str) -> Iterator[str]:
    """The ignored files that an entry of `include` stands for."""
    magic = "glob" if is_wild(path) else "literal"
    try:
        said = Visit(root).run(*LISTED, f":(top,{magic}){path}").decode("utf-8", "surrogateescape")
    except GitFailed as error:
        raise Unprocessable(f"`include` cannot look into {root}: {str(error).splitlines()[0]}") from error
    names = [name for name in said.split("\0") if name]
    if not names:
        raise Unprocessable(
            f"`include` names {path}, and {root} has no such file that git ignores: make it, or leave it out"
        )
    for name in names:
        if name != path and may_be_secret(name):
            raise Unprocessable(
                f"`include` says {path}, which {name} fits, and that may be a secret: name it exactly, or say"
                " what does not fit it"
            )
    yield from names


def _keep_out_of_commits(directory: Path, names: Sequence[str]) -> None:
    """Have a clone ignore what is copied into it; refused where that cannot be: agents would commit it."""
    for name in names:
        above = [str(each) for each in PurePath(name).parents][:-1]
        if any(is_there(directory, each) and not is_directory(directory / each) for each in above):
            raise _blocked(name)
        if _is_committed(directory, name):
            raise Unprocessable(
                f"`include` names {name}, which the work has in its commits, and what is there is not"
                " replaced: take it out there (git rm --cached), or leave it out here"
            )
    shown = [name for name in names if not _is_ignored(directory, name)]
    if not shown:
        return
    _exclude(directory, shown)
    for name in shown:
        if not _is_ignored(directory, name):
            raise Unprocessable(
                f"`include` names {name}, which a .gitignore of the work says is not ignored, so that agents"
                " would commit it: take that line (`!…`) out and commit that, or leave it out here"
            )


def _is_ignored(directory: Path, name: str) -> bool:
    try:
        is_ignored, _ = Visit(directory).answers(*ASKED, f"./{name}")
    except GitFailed as error:
        raise _unseen(name, error) from error
    return is_ignored


def _is_committed(directory: Path, name: str) -> bool:
    try:
        return bool(Visit(directory).run("ls-files", "-z", "--", name))
    except GitFailed as error:
        raise _unseen(name, error) from error


def _unseen(name: str, error: GitFailed) -> Unprocessable:
    return Unprocessable(f"`include` cannot look at {name}: {str(error).splitlines()[0]}")


def _blocked(name: str) -> Unprocessable:
    return Unprocessable(
        f"`include` names {name}, and the work has a file or a link where a directory on the way to it is to"
        " be: take that out there, or leave this out here"
    )


def _exclude(directory: Path, names: Sequence[str]) -> None:
    """Add files to those that a clone ignores whatever is committed: they are so to its agent and to us."""
    held = read_plain(directory, f"{INFO}/{EXCLUDE}", limit=LARGEST_TEXT) or b""
    # No pattern holds the end of a line: there, any one character has to do.
    patterns = (SPECIAL.sub(r"\\\g<0>", name).translate({10: "?", 13: "?"}) for name in names)
    text = held + b"".join(os.fsencode(f"/{pattern}\n") for pattern in patterns)
    if len(text) > LARGEST_TEXT:
        raise Unprocessable("`include` names more files than a clone can be told to ignore: name fewer")
    if not is_directory(directory / ".git"):
        raise Unprocessable(f"`include` cannot look at {directory}: .git is not a directory of its own")
    try:
        write_plain(directory / INFO, EXCLUDE, text)
    except OSError as error:
        raise Unavailable(f"{directory / INFO} cannot be written: {error.strerror or error}") from error


def _copy_file(root: Path, directory: Path, name: str, left: int) -> int:
    """Copy one file with who may execute it; how many bytes it has."""
    file = open_plain(root, name)
    if file is None:
        raise Unprocessable(
            f"`include` names {name}, which is no plain file of {root}: links are not followed"
        )
    with file:
        found = os.fstat(file.fileno())
        if found.st_size > left:
            raise Unprocessable(f"`include` names more than {MOST_BYTES // MIB} MiB")
        try:
            _make_folders(directory, name)
            with parent(directory, name) as (folder, last), suppress(FileExistsError):
                draft = os.open(last, DRAFTING, stat.S_IMODE(found.st_mode) & 0o700 | 0o600, dir_fd=folder)
                with os.fdopen(draft, "wb") as into:
                    for piece in pieces(file, limit=left):
                        into.write(piece)
        except OSError as error:
            if error.errno in IN_THE_WAY:
                raise _blocked(name) from error
            raise Unavailable(
                f"{name} cannot be copied into {directory}: {error.strerror or error}"
            ) from error
        return found.st_size


def _make_folders(directory: Path, name: str) -> None:
    """Make the directories on the way to a file; a link among them is an error of the operating system's."""
    *folders, _ = PurePath(name).parts
    inner = os.open(directory, ENTERING | os.O_NOFOLLOW)
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o777, dir_fd=inner)
            outer, inner = inner, os.open(folder, ENTERING | os.O_NOFOLLOW, dir_fd=inner)
            os.close(outer)
    finally:
        os.close(inner)
